"""A site that is made to suffer: a server, a database where the store is one, and workers behind lines of their own."""

import asyncio
import json
import os
import secrets
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nflow.bus.nats import connect
from nflow.engine.engine import Engine
from nflow.runs import Runs
from nflow.session import worker_id
from nflow.store.kv import KvStore
from tests.chaos.line import Line
from tests.e2e.process import Process
from tests.servers import Mongo, Server

WORKERS = 4
SLOTS = 2

#: What a worker says once it takes work.
_READY = " serves "
_MARK = "CHAOS_SITE"

#: As nats-server.conf has it.
_LIMITS = 'max_payload: 8MB\nmax_pending: 128MB\nping_interval: "10s"\nping_max: 3'
_SYNC = 'sync_interval: "1s"'


@dataclass(slots=True, eq=False)
class Worker:
    """One life of a worker."""

    name: str
    process: Process
    lines: list[Line]
    is_met: bool = False  #: a fault of its own is under way
    is_killed: bool = False  #: by the suite

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to take work."""
        return any(_READY in line for line in (*self.process.out, *self.process.err))

    def slots(self) -> list[int]:
        """The processes that run its tasks."""
        children = set[int]()
        with suppress(OSError):
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                children.update(map(int, (thread / "children").read_text().split()))
        return sorted(child for child in children if "nflow.slot.child" in _command(child))


@dataclass(slots=True)
class Site:
    """One folder with everything in it."""

    folder: Path
    with_database: bool
    server: Server = field(init=False)
    database: Mongo | None = field(init=False, default=None)
    workers: list[Worker] = field(init=False, default_factory=list)  #: those that are alive
    names: dict[int, tuple[str, ...]] = field(init=False, default_factory=dict)
    """Of all workers that ever were, by process: numbers of processes come again within an hour of kills."""
    ended_by_themselves: list[str] = field(init=False, default_factory=list)
    server_up: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    closing: bool = field(init=False, default=False)
    _mark: str = field(init=False, default_factory=lambda: secrets.token_hex(8))
    _keepers: list[asyncio.Task[None]] = field(init=False, default_factory=list)
    _clients: list[Runs] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.server = Server(self.folder / "server", store=_SYNC, more=_LIMITS)
        self.ledger_file.parent.mkdir(parents=True, exist_ok=True)
        for part in (self.temporary, self.folder / "logs"):
            part.mkdir()
        self.ledger_file.touch()

    @property
    def ledger_file(self) -> Path:
        """What tasks leave behind."""
        return self.folder / "ledger"

    @property
    def temporary(self) -> Path:
        """Where the workers and their tasks keep what is to go with them."""
        return self.folder / "tmp"

    async def open(self) -> Runs:
        """Start everything; a client that is spared."""
        await asyncio.to_thread(self.server.start)
        self.server_up.set()
        if self.with_database:
            self.database = Mongo(self.folder / "database")
            await asyncio.to_thread(self.database.start)
        client = await self._client()
        first = [await self._start() for _ in range(WORKERS)]
        for worker in first:
            await worker.process.until_says(_READY)
        self._keepers = [asyncio.ensure_future(self._keep(worker)) for worker in first]
        return client

    async def nflow(self, *arguments: str) -> Process:
        """A command as a person gives it, on a connection that is spared."""
        return await self._command(arguments, self.server.port, None)

    async def drain(self) -> list[str]:
        """End all workers politely; what was not polite of them."""
        self.closing = True
        workers = list(self.workers)
        for worker in workers:
            worker.process.send(signal.SIGTERM)
        troubles = []
        for worker in workers:
            try:
                code = await worker.process.end()
            except TimeoutError:
                troubles.append(f"worker {worker.name} ({worker.pid}) did not end within 20 s of SIGTERM")
                continue
            if code != 0:
                troubles.append(f"worker {worker.name} ended with exit code {code} after SIGTERM")
        return troubles

    def processes(self) -> dict[int, str]:
        """All processes that stem from this site, with their command lines, but for its servers."""
        mark = f"{_MARK}={self._mark}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = _command(int(entry.name))
        return found

    def errors(self) -> list[str]:
        """What workers that have ended have told as an error, with their names."""
        logs = sorted((self.folder / "logs").glob("w*.log"))
        return [f"{log.stem}: {line}" for log in logs for line in log.read_text().splitlines() if " ERROR " in line]

    async def close(self) -> None:
        """End everything that is left."""
        self.closing = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for client in self._clients:
            client.engine.close()
            await client.engine.bus.close()
        for pid in self.processes():
            for signum in (signal.SIGCONT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)
        for worker in self.workers:
            await worker.process.gone()
            await self._let_go(worker)
        await asyncio.to_thread(self.server.kill)
        if self.database is not None:
            await asyncio.to_thread(self.database.kill)
        (self.folder / "logs" / "server.log").write_text("\n".join(self.server.log))

    async def _client(self) -> Runs:
        bus = await connect(self.server.url, token=self.server.token, name="chaos")
        client = Runs(Engine(bus, worker_id("chaos"), KvStore(bus)))
        self._clients.append(client)
        return client

    async def _keep(self, worker: Worker) -> None:
        """Put another worker into the place of one that has ended, at once, for as long as the site goes on."""
        while True:
            await worker.process.gone()
            if worker.is_ready and not worker.is_killed and not self.closing:
                self.ended_by_themselves.append(worker.process.story)
            await self._let_go(worker)
            if self.closing:
                return
            await self.server_up.wait()
            worker = await self._start()

    async def _start(self) -> Worker:
        lines = [await Line(self.server.port).open()]
        if self.database is not None:
            lines.append(await Line(self.database.port).open())
        name = f"w{sum(map(len, self.names.values())) + 1}"
        arguments = ("worker", "--name", name, "--slots", str(SLOTS))
        process = await self._command(arguments, lines[0].port, lines[1].port if self.database else None)
        worker = Worker(name, process, lines)
        self.names[worker.pid] = (*self.names.get(worker.pid, ()), name)
        self.workers.append(worker)
        return worker

    async def _let_go(self, worker: Worker) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            text = "\n".join([*worker.process.out, *worker.process.err])
            (self.folder / "logs" / f"{worker.name}.log").write_text(text)
            for line in worker.lines:
                await line.close()

    async def _command(self, arguments: tuple[str, ...], port: int, store_port: int | None) -> Process:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("nflow"),
            *arguments,
            cwd=self.folder,
            env=self._environment(port, store_port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        return Process(process, " ".join(arguments))

    def _environment(self, port: int, store_port: int | None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NFLOW_", "PYTEST_"))}
        store = (
            {} if store_port is None else {"NFLOW_STORE_URL": f"mongodb://127.0.0.1:{store_port}/chaos?journal=true"}
        )
        return {
            **kept,
            **store,
            _MARK: self._mark,
            "CHAOS_LEDGER": str(self.ledger_file),
            "TMPDIR": str(self.temporary),
            "NFLOW_HOME": str(self.folder / "home"),
            "NFLOW_SERVER_URL": f"nats://127.0.0.1:{port}",
            "NFLOW_SERVER_TOKEN": self.server.token,
        }


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def dump(path: Path, what: object) -> None:
    """Leave something as evidence."""
    path.write_text(json.dumps(what, indent=1, default=str))
