"""The server's process: starting it, asking whether it is there, and ending it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from nflow.errors import ServerError, ServerUnreachable
from nflow.server.folder import Folder
from nflow.server.lock import Lock
from nflow.server.signs import Sign, Signs

READY = b"Server is ready"
ANSWER_SECONDS = 5.0
STOP_SECONDS = 10.0

# Below the ports that Linux and macOS give to outgoing connections: a client that tries again and again to reach a dead
# server on such a port is sooner or later connected to itself, and the port is taken.
PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The first line of a server, which it sends before anybody logs in."""

    server_name: str
    version: str
    jetstream: bool


def greeting(port: int) -> Greeting | None:
    """What the server on this port says; None when nothing listens there or it is no nats-server.

    Raises:
        TimeoutError: Somebody listens and is silent.
    """
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        with closing(connection), connection.makefile("rb") as lines:
            line = lines.readline(65_536)
    except TimeoutError:
        raise
    except OSError:
        return None
    with suppress(ValueError, AttributeError):
        said = json.loads(line.removeprefix(b"INFO "))
        return Greeting(
            server_name=str(said.get("server_name")),
            version=str(said.get("version")),
            jetstream=bool(said.get("jetstream")),
        )
    return None


def free_ports(first: int | None) -> Iterator[int]:
    """Ports on which nothing listens now, beginning with the one that clients may know already."""
    start = int.from_bytes(os.urandom(2)) % len(PORTS)
    for port in (*((first,) if first else ()), *PORTS[start:], *PORTS[:start]):
        with closing(socket.socket()) as probe, suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: closed connections linger
            probe.bind(("127.0.0.1", port))
            yield port


def launch(program: Path, folder: Folder, lock: Lock) -> int:
    """Start the server in a session of its own and return its pid; it holds `lock` for as long as it lives."""
    with folder.writing():
        if folder.log.exists():
            folder.log.replace(folder.log.with_suffix(".log.1"))
        folder.pid_file.unlink(missing_ok=True)
        log = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [program, "-c", folder.config],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            env={"PATH": os.defpath, "GOMAXPROCS": str(_share())},  # nothing of the user's, where secrets may be
            pass_fds=(lock.fd,),
            start_new_session=True,
        )
    finally:
        os.close(log)
    # Reaps the server should it die before this process does, and keeps the object from warning that it lives on.
    threading.Thread(target=process.wait, name="nflow-server-reaper", daemon=True).start()
    return process.pid


def _share() -> int:
    """Cores for the server: half of them, the rest is for the work. Go spends fewer wake-ups on fewer cores, too."""
    return max(1, (os.cpu_count() or 1) // 2)


def wait_until_ready(folder: Folder, pid: int | None, seconds: float) -> bool:
    """Follow the server's log until it says that it is ready; False when it ended before.

    Without a `pid` (whoever started it was killed) the server's own note of it is used as soon as it is there.

    Raises:
        ServerUnreachable: The time was up.
    """
    deadline = time.monotonic() + seconds
    with Signs(pid=pid, path=folder.log) as signs:
        while READY not in folder.log.read_bytes():
            if pid is None and (pid := folder.pid()) is not None:
                signs.follow(pid)
            sign = signs.wait(deadline - time.monotonic())
            if Sign.ENDED in sign:
                return False
            if not sign:
                raise ServerUnreachable(f"The server was not ready within {seconds:g} s. Its log: {folder.log}")
    return True


def end(folder: Folder, pid: int) -> None:
    """End the server, kindly at first.

    Raises:
        ServerError: It does not go.
    """
    with Signs(pid=pid) as signs:  # from here on its end is seen, so that the signals below reach no later process
        for kind in (signal.SIGTERM, signal.SIGKILL):
            if signs.wait(0) or not _is_server_of(folder, pid):
                return
            with suppress(ProcessLookupError):
                os.kill(pid, kind)
            if signs.wait(STOP_SECONDS):
                return
    raise ServerError(f"The server (pid {pid}) does not end. Its log: {folder.log}")


def wait_until_ended(pid: int, seconds: float) -> bool:
    """Whether the process ended within so many seconds."""
    with Signs(pid=pid) as signs:
        return bool(signs.wait(seconds))


def _is_server_of(folder: Folder, pid: int) -> bool:
    """Whether this process was started with the folder's configuration; without a /proc its own note must do."""
    if not Path("/proc/self/cmdline").exists():
        return True
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(folder.config) in arguments
