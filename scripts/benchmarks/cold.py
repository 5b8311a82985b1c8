"""The floor of a cold `nflow run`: start a server, send the messages of a run with two tasks, stop the server."""

import asyncio
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from benchmarks.floor import floor


def main() -> None:
    """Do so, in the folder that the first argument names."""
    folder, token = Path(sys.argv[1]), secrets.token_hex(8)
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "server.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\nauthorization {{ token: "{token}" }}\njetstream {{ store_dir: "{folder}" }}\n'
    )
    beside = Path(sys.executable).with_name("nats-server")
    program = str(beside) if beside.exists() else shutil.which("nats-server") or "nats-server"
    server = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        if not any("Server is ready" in line for line in server.stderr):
            sys.exit("nats-server did not start")
        asyncio.run(_run(f"nats://127.0.0.1:{port}", token))
    finally:
        server.terminate()
        server.communicate()


async def _run(url: str, token: str) -> None:
    async with floor(url, token) as client:
        await client.run(tasks=2)


if __name__ == "__main__":
    main()
