"""A station for tests: real servers, workers and commands as a site has them, made to be killed.

Nothing here waits for time to pass: tests wait for events of a run, for lines of its tasks, for lines and ends of
processes. What a task is to be held up by is a gate, a file lock that the test holds.
"""

import asyncio
import fcntl
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from nflow.bus.nats import connect
from nflow.bus.port import Record
from nflow.client import Client, Following
from nflow.core.events import (
    DagFinished,
    Event,
    OwnerChanged,
    RemoteError,
    RunFinished,
    Status,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower
from nflow.server.folder import Folder, url_of
from nflow.server.signs import Sign, Signs
from nflow.session import worker_id
from nflow.store.kv import KvStore
from nflow.wire.lines import Line, unpack_lines
from nflow.wire.subjects import event_place, name_of
from tests.servers import Server

WORKFLOWS = Path(__file__).with_name("workflows")

#: Nothing that a test waits for takes so long, even on a busy machine.
PATIENCE = 20.0

#: What a person is promised: a dead worker's work goes on elsewhere within so many seconds.
TAKEOVER = 5.0

_MARK = "E2E_STATION"
_OUTCOMES = (TaskSucceeded, TaskFailed, TaskAborted, TaskCancelled, TaskSkipped)

E = TypeVar("E", bound=Event)


class News:
    """Wakes those who wait for something to become true whenever something has changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self) -> None:
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience), self._changed:
            await self._changed.wait_for(is_so)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Process:
    """A command that was started, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, command: str) -> None:
        self.command = command
        self._process = process
        self._news = News()
        self.out: list[str] = []
        self.err: list[str] = []
        assert process.stdout
        assert process.stderr
        self._readers = [
            asyncio.ensure_future(self._read(process.stdout, self.out)),
            asyncio.ensure_future(self._read(process.stderr, self.err)),
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until_says(self, text: str, *, times: int = 1) -> None:
        """Return when so many lines with `text` have come on one of its outputs."""
        await self._news.until(lambda: self.ended or self._says(text) >= times)
        assert self._says(text) >= times, f"it ended without saying {text!r}: {self.story}"

    async def first_line(self) -> str:
        await self._news.until(lambda: self.ended or bool(self.out))
        assert self.out, f"it ended without a word: {self.story}"
        return self.out[0]

    async def end(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended and all that it wrote was read."""
        async with asyncio.timeout(patience):
            await asyncio.wait(self._readers)
            return await self._process.wait()

    @property
    def ended(self) -> bool:
        return all(reader.done() for reader in self._readers)

    @property
    def story(self) -> str:
        return "\n".join([f"--- {self.command}: exit code {self._process.returncode}", *self.out[-30:], *self.err[-30:]])

    def send(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signum)

    async def kill(self) -> float:
        """Kill it without a warning; when that was."""
        at = now()
        self.send(signal.SIGKILL)
        await self.end()
        return at

    def _says(self, text: str) -> int:
        return sum(text in line for line in (*self.out, *self.err))

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            lines.append(line.decode(errors="replace").rstrip("\n"))
            self._news.tell()
        asyncio.get_running_loop().call_soon(self._news.tell)  # once this reader counts as done


class Gate:
    """A file that holds up all tasks which come to it, until it is opened."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        self._file.close()


class Story:
    """A run as its events tell it."""

    def __init__(self, client: Client, run: RunId) -> None:
        self.run = run
        self.events: list[tuple[Event, Record]] = []
        self.lines: list[tuple[str, Line]] = []  #: with the task that wrote them
        self._client = client
        self._news = News()

    @asynccontextmanager
    async def told(self) -> AsyncIterator["Story"]:
        engine = self._client.engine
        lines = Follower(engine.bus, engine.subjects.lines_of(self.run), self._on_lines)
        try:
            async with Following(engine, engine.subjects.run_events(self.run), self._on_event):
                await lines.start()
                yield self
        finally:
            lines.close()

    async def until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        try:
            await self._news.until(is_so, patience)
        except TimeoutError:
            raise TimeoutError(f"it never came:\n{self}") from None

    async def started(self, task: str, *, times: int = 1) -> None:
        """Return when `task` was claimed so often."""
        await self.until(lambda: len(self.claims(task)) >= times)

    async def begun(self, task: str, *, times: int = 1) -> None:
        """Return when the code of `task` has begun so often: it has printed that it does."""
        await self.until(lambda: sum(line.text == f"{task} begins" for _, line in self.lines) >= times)

    async def finished(self, patience: float = PATIENCE) -> RunFinished:
        """How the run ended, once it has."""
        await self.until(lambda: bool(self.of(RunFinished)), patience)
        return self.of(RunFinished)[0]

    async def succeeds(self, patience: float = PATIENCE) -> None:
        """Return when the run has succeeded, with every outcome on record once."""
        finished = await self.finished(patience)
        assert finished.status is Status.SUCCEEDED, f"{finished.reason}\n{self}"
        self.has_one_outcome_each()

    def has_one_outcome_each(self) -> None:
        outcomes = Counter((self.dag_of(record), event.task) for event, record in self.events if isinstance(event, _OUTCOMES))
        ends = Counter(event.dag for event in self.of(DagFinished))
        assert {key: count for key, count in outcomes.items() if count > 1} == {}, str(self)
        assert {dag: count for dag, count in ends.items() if count > 1} == {}, str(self)
        assert len(self.of(RunFinished)) == 1, str(self)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event, _ in self.events if isinstance(event, kind)]

    def failure(self) -> RemoteError:
        """Why the only task that failed did."""
        [failed] = self.of(TaskFailed)
        return failed.error

    def claims(self, task: str | None = None) -> list[TaskStarted]:
        return [event for event in self.of(TaskStarted) if task in (None, event.task)]

    def owners(self) -> int:
        """How often a log of the run has been taken by a driver."""
        return len(self.of(OwnerChanged))

    def taken_over(self, after: float) -> list[float]:
        """Seconds from `after` to every claim and change of owner since then."""
        kinds = (TaskStarted, OwnerChanged)
        return [record.at - after for event, record in self.events if isinstance(event, kinds) and record.at > after]

    def said(self, task: str, stream: str = "out") -> list[str]:
        return [line.text for name, line in self.lines if name == task and line.stream == stream]

    @staticmethod
    def dag_of(record: Record) -> str:
        return str(name_of(event_place(record.subject).dag))

    def __str__(self) -> str:
        return "\n".join(f"{record.at:.3f} {record.subject} {event}" for event, record in self.events[-60:])

    def _on_event(self, event: Event, record: Record) -> None:
        self.events.append((event, record))
        self._news.tell()

    def _on_lines(self, record: Record) -> None:
        task = record.subject.rpartition(".")[2]
        self.lines += [(task, line) for line in unpack_lines(record.payload)[1]]
        self._news.tell()


class Station:
    """One folder, and whatever a test starts in it. Without a server, nflow brings its own."""

    def __init__(self, folder: Path, servers: Sequence[Server] = ()) -> None:
        self.folder = folder
        self.servers = servers
        self.home = folder / "home"
        self._mark = secrets.token_hex(8)
        self._processes: list[Process] = []
        self._clients: list[Client] = []
        self._gates: list[Gate] = []

    @property
    def server(self) -> Server:
        """The site's server, or the first of them."""
        return self.servers[0]

    @property
    def _url(self) -> str:
        return ",".join(server.url for server in self.servers)

    @property
    def _replicas(self) -> int:
        return 3 if len(self.servers) > 1 else 1

    # --- processes ---

    async def nflow(self, *arguments: str, **variables: str) -> Process:
        """Start a command."""
        process = Process(
            await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name("nflow"),
                *arguments,
                cwd=self.folder,
                env={**self._environment(), **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=1 << 24,
            ),
            " ".join(arguments),
        )
        self._processes.append(process)
        return process

    async def worker(self, queues: str = "workflow,dag,task", *, slots: int = 2) -> Process:
        """Start a worker, and return when it takes work."""
        process = await self.nflow("worker", "-q", queues, "--slots", str(slots))
        await process.until_says(" serves ")
        return process

    async def submit(self, workflow: str, *, variables: Mapping[str, str] | None = None, **arguments: object) -> RunId:
        """Start a run."""
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
        assert has_ended(pid, PATIENCE)

    # --- what tasks leave and wait for ---

    def gate(self, task: str) -> Gate:
        """Hold up every task of that name at its beginning."""
        gate = Gate(self.folder / f"{task}.gate")
        self._gates.append(gate)
        return gate

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

    async def client(self) -> Client:
        """A client of the server, which does not keep nflow's own server running."""
        if self.servers:
            url, token = self._url, self.server.token
        else:
            folder = self.embedded
            port = folder.port()
            assert port is not None
            url, token = url_of(port), folder.token()
        bus = await connect(url, token=token, replicas=self._replicas, name="test")
        client = Client(Engine(bus, worker_id("test"), KvStore(bus)))
        self._clients.append(client)
        return client

    @asynccontextmanager
    async def following(self, run: RunId) -> AsyncIterator[Story]:
        """The story of a run, as it goes on."""
        async with Story(await self.client(), run).told() as story:
            yield story

    @property
    def embedded(self) -> Folder:
        """Where nflow's own server lives."""
        return Folder.of_this_host(self.home)

    def processes(self) -> dict[int, str]:
        """All processes that stem from this station, with their command lines; nflow's own server is none of them."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and f"{_MARK}={self._mark}".encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    # --- life ---

    async def close(self) -> dict[int, str]:
        """End everything; the processes that outlived those which had started them."""
        for process in self._processes:
            process.send(signal.SIGCONT)
            process.send(signal.SIGKILL)
        for process in self._processes:
            await process.end()
            print(process.story)  # pytest shows it for a test that failed
        for gate in self._gates:
            gate.open()
        for client in self._clients:
            client.engine.close()
            await client.engine.bus.close()
        left = self.processes()
        left = {pid: line for pid, line in left.items() if not has_ended(pid, 5.0)}
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not self.servers and (pid := self.embedded.pid()) is not None and not has_ended(pid, 0.0):
            os.kill(pid, signal.SIGKILL)
            has_ended(pid, 5.0)
        return left

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NFLOW_", "PYTEST_"))}
        environment |= {_MARK: self._mark, "NFLOW_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        if self.servers:
            environment |= {"NFLOW_SERVER_URL": self._url, "NFLOW_SERVER_TOKEN": self.server.token}
            environment |= {"NFLOW_SERVER_REPLICAS": str(self._replicas)}
        return environment


def now() -> float:
    """The clock that time stamps of events are taken from: the servers of tests run on this machine."""
    return time.time()


def has_ended(pid: int, patience: float) -> bool:
    """Whether a process is gone after so many seconds at the latest."""
    with Signs(pid=pid) as signs:
        return Sign.ENDED in signs.wait(patience)
