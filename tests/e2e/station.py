"""A station for tests: real servers, workers and commands as a site has them, made to be killed.

Nothing here waits for time to pass: tests wait for events of a run, for lines of its tasks, for words and ends of
processes. What a task is to be held up by is a gate: a file lock that the test holds.
"""

import asyncio
import fcntl
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from nflow.bus.nats import connect
from nflow.bus.port import Record
from nflow.core.events import Event, RunStarted
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.runs import Following, Runs
from nflow.server.folder import Folder, url_of
from nflow.session import worker_id
from nflow.store.kv import KvStore
from nflow.wire.subjects import event_place
from tests.e2e.news import News
from tests.e2e.process import Process, has_ended
from tests.e2e.story import Story
from tests.servers import Server

WORKFLOWS = Path(__file__).with_name("workflows")

_MARK = "E2E_STATION"


class Gate:
    """A file that holds up all tasks which come to it, until it is opened."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        self._file.close()


class Station:
    """One folder, and whatever a test starts in it. Without servers, nflow brings its own."""

    def __init__(self, folder: Path, servers: Sequence[Server] = ()) -> None:
        self.folder = folder
        self.servers = servers
        self._mark = secrets.token_hex(8)
        self._processes: list[Process] = []
        self._clients: list[Runs] = []
        self._gates: list[Gate] = []

    @property
    def server(self) -> Server:
        """The site's server, or the first of them."""
        return self.servers[0]

    @property
    def embedded(self) -> Folder:
        """Where nflow's own server lives."""
        return Folder.of_this_host(self.folder / "home")

    # --- processes ---

    async def nflow(self, *arguments: str, **variables: str) -> Process:
        """Start a command."""
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("nflow"),
            *arguments,
            cwd=self.folder,
            env={**self.environment(), **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        self._processes.append(Process(process, " ".join(arguments)))
        return self._processes[-1]

    async def worker(self, queues: str = "workflow,dag,task", *, slots: int = 2) -> Process:
        """Start a worker, and return when it takes work."""
        process = await self.nflow("worker", "-q", queues, "--slots", str(slots))
        await process.until_says(" serves ")
        return process

    async def submit(self, workflow: str, *, variables: Mapping[str, str] | None = None, **arguments: object) -> RunId:
        """Start a run, and return when its id was printed."""
        process = await self.nflow("start", *self.workflow(workflow, **arguments), **variables or {})
        assert await process.end() == 0, process.story
        return RunId(process.out[0])

    def workflow(self, name: str, **arguments: object) -> list[str]:
        """A workflow and its parameters as the command line takes them; each is told where to write."""
        given = {"folder": self.folder, **arguments}
        return [str(WORKFLOWS / f"{name}.py"), *(f"{key}={value}" for key, value in given.items())]

    def kill_server(self) -> None:
        """Kill nflow's own server without a warning."""
        pid = self.embedded.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert has_ended(pid)

    def processes(self) -> dict[int, str]:
        """All processes that stem from this station, with their command lines; nflow's own server is none of them."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and f"{_MARK}={self._mark}".encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    # --- what tasks wait for and leave ---

    def gate(self, task: str) -> Gate:
        """Hold up every task of that name at its beginning."""
        self._gates.append(Gate(self.folder / f"{task}.gate"))
        return self._gates[-1]

    def ledger(self) -> list[str]:
        """The name of a task for each time that its code has begun."""
        return [name for name, _ in self._ledger()]

    def pids(self, task: str) -> list[int]:
        """The processes in which the code of a task has begun."""
        return [pid for name, pid in self._ledger() if name == task]

    def _ledger(self) -> list[tuple[str, int]]:
        file = self.folder / "ledger"
        rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [(name, int(pid)) for name, pid in rows]

    # --- looking at it ---

    async def client(self) -> Runs:
        """A client of the server, which does not keep nflow's own server running."""
        if self.servers:
            url, token = self._url, self.server.token
        else:
            folder = self.embedded
            port = folder.port()
            assert port is not None
            url, token = url_of(port), folder.token()
        bus = await connect(url, token=token, replicas=self._replicas, name="test")
        self._clients.append(Runs(Engine(bus, worker_id("test"), KvStore(bus))))
        return self._clients[-1]

    @asynccontextmanager
    async def following(self, run: RunId) -> AsyncIterator[Story]:
        """The story of a run, as it goes on."""
        async with Story((await self.client()).engine, run).told() as story:
            yield story

    async def heartbeats(self, count: int) -> None:
        """Return when workers have been heard of so often from now on: time in which something could go wrong."""
        engine, news, heard = (await self.client()).engine, News(), list[Record]()

        def on_beat(record: Record) -> None:
            heard.append(record)
            news.tell()

        watch = engine.bus.watch(engine.subjects.kv_under("workers"), on_beat)
        await news.until(lambda: len(heard) >= count)
        watch.close()

    async def next_run(self, *, after: RunId) -> RunId:
        """The run that was submitted after that one, once it has begun."""
        engine, news, begun = (await self.client()).engine, News(), set[RunId]()

        def on_event(event: Event, record: Record) -> None:
            if isinstance(event, RunStarted) and (run := RunId(event_place(record.subject).run)) > after:
                begun.add(run)
                news.tell()

        async with Following(engine, f"{engine.subjects.namespace}.event.*._.>", on_event):
            await news.until(lambda: bool(begun))
        return min(begun)

    # --- its own end ---

    async def close(self) -> dict[int, str]:
        """End everything; the processes that outlived those which had started them."""
        for process in self._processes:
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
        for process in self._processes:
            await process.end()
            print(process.story)  # pytest shows it when the test has failed
        for gate in self._gates:
            gate.open()
        for client in self._clients:
            client.engine.close()
            await client.engine.bus.close()
        left = {pid: line for pid, line in self.processes().items() if not has_ended(pid)}
        for pid in left:
            _kill(pid)
        if not self.servers and (server := self.embedded.pid()) is not None:
            _kill(server)
        return left

    def environment(self) -> dict[str, str]:
        """What commands of this station are told."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NFLOW_", "PYTEST_"))}
        environment |= {_MARK: self._mark, "NFLOW_HOME": str(self.folder / "home")}
        if self.servers:
            environment |= {"NFLOW_SERVER_URL": self._url, "NFLOW_SERVER_TOKEN": self.server.token}
            environment |= {"NFLOW_SERVER_REPLICAS": str(self._replicas)}
        return environment

    @property
    def _url(self) -> str:
        return ",".join(server.url for server in self.servers)

    @property
    def _replicas(self) -> int:
        return min(3, len(self.servers)) or 1


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert has_ended(pid)
