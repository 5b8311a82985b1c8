"""A worker on a bus in memory, whose slots run scripts in this very process: all of it but the child processes."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.port import Intake, Job, JobQueue, Record
from nflow.core.dataset import Dataset
from nflow.core.events import Event, Provenance, RemoteError, TaskFailed, TaskSucceeded
from nflow.core.ids import DagName, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob, WorkflowJob
from nflow.core.spec import DagSpec, Edge, TaskSpec, WorkflowSpec
from nflow.engine.claims import Claimer
from nflow.engine.engine import Engine
from nflow.engine.specs import code_cache
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events, pack_job, pack_spec, unpack_events, unpack_job
from nflow.worker.death import Death
from nflow.worker.driving import Driving
from nflow.worker.executing import Executing
from nflow.worker.means import Means
from nflow.worker.pool import Pool
from nflow.worker.runwatches import RunWatches
from nflow.worker.slot import Outcome, SlotDied

Call = Callable[[str, Sequence[Any]], Awaitable[Any]]


class Scene:
    """What a script may do: it is the task."""

    def __init__(self, slot: "StageSlot", job: TaskJob, call: Call, execution: int) -> None:
        self.slot = slot
        self.job = job
        self.call = call
        self.execution = execution

    @property
    def provenance(self) -> Provenance:
        return Provenance(worker=WorkerId("slot"), host="h", pid=1, start=0.0, end=1.0)


Script = Callable[[Scene], Awaitable[Event | None]]


class StageSlot:
    """A slot to the worker; to the test, a stage on which the scripts of tasks are played."""

    def __init__(self, scripts: Mapping[str, Script], played: list[str]) -> None:
        self.alive = True
        self.tasks_done = 0
        self.known_code: set[str] = set()
        self.pid = 1
        self.stopped = asyncio.Event()
        self.signals: list[signal.Signals] = []
        self._code: set[str] = set()
        self._scripts = scripts
        self._played = played
        self._death: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    memory_bytes = 0
    last_lines: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return not self.alive

    async def end(self) -> None:
        pass

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> Outcome:
        payload, _, code, execution, *_ = request
        job = unpack_job(payload)
        assert isinstance(job, TaskJob)
        if code is not None:
            self._code.add(job.code)
        assert job.code in self._code, "the slot was never given this code"
        self._played.append(job.name)
        play = asyncio.ensure_future(self._play(Scene(self, job, call, execution)))
        try:
            await asyncio.wait([play, self._death], return_when=asyncio.FIRST_COMPLETED)
            if self._death.done():
                raise SlotDied(Death(exit_code=-self.signals[-1]))
            return Outcome(pack_events([play.result()]), isinstance(play.result(), TaskFailed))
        finally:
            play.cancel()
            self.stopped.clear()
            self.tasks_done += 1

    async def _play(self, scene: Scene) -> Event:
        script = self._scripts.get(scene.job.name)
        job, fields = scene.job, {"execution": scene.execution, "provenance": scene.provenance}
        try:
            event = None if script is None else await script(scene)
        except Exception as error:  # noqa: BLE001 - as in a real slot
            told = RemoteError(type=type(error).__name__, message=str(error))
            return TaskFailed(task=job.task, attempt=job.attempt, error=told, **fields)
        return event or TaskSucceeded(task=job.task, attempt=job.attempt, output=Dataset(history=(job.name,)), **fields)

    def flag_stop(self) -> None:
        self.stopped.set()

    def signal_group(self, signum: signal.Signals) -> None:
        self.signals.append(signum)
        self.alive = False
        if not self._death.done():
            self._death.set_result(None)

    def kill(self) -> None:
        self.signal_group(signal.SIGKILL)


class Crew:
    """One worker."""

    def __init__(self, bus: MemoryBus, name: str, scripts: Mapping[str, Script], *, slots: int) -> None:
        self.bus = bus
        self.played: list[str] = []
        self.slots: list[StageSlot] = []
        self.start_error: Exception | None = None
        self.engine = Engine(bus, WorkerId(name), KvStore(bus))
        self._scripts = scripts
        self.pool = Pool(slots, self._start_slot, tasks_per_slot=1000)
        self.watches = RunWatches(self.engine)
        self.executing = Executing(
            Means(
                engine=self.engine,
                pool=self.pool,
                claimer=Claimer(self.engine, "host"),
                code=code_cache(self.engine.blobs),
                watches=self.watches,
                host="host",
            )
        )
        self.driving = {kind: Driving(self.engine) for kind in ("workflow", "dag")}

    async def serve(self, *kinds: str, queues: Sequence[str] = ("workflow", "dag", "task")) -> "Crew":
        for kind in kinds or ("workflow", "dag", "task"):
            part = self.executing if kind == "task" else self.driving[kind]
            for name in queues:
                part.add(await self.take(kind, name, part.on_job))
        return self

    async def take(self, kind: str, name: str, on_job: Callable[[Job], None]) -> Intake:
        address = self.engine.subjects.queue(kind, name, "py" if kind == "task" else "any")
        return await self.bus.take(JobQueue(address.name, address.subject), on_job)

    async def drain(self) -> None:
        self.executing.stop_taking()
        for driving in self.driving.values():
            await driving.hand_back()
        await self.executing.drain()

    def die(self) -> None:
        """As a process does that is killed."""
        self.bus.kill()
        self.close()

    def close(self) -> None:
        for driving in self.driving.values():
            driving.close()
        self.executing.close()
        self.watches.close()
        self.pool.close()
        self.engine.close()

    async def _start_slot(self) -> StageSlot:
        if self.start_error is not None:
            raise self.start_error
        self.slots.append(StageSlot(self._scripts, self.played))
        return self.slots[-1]


class Site:
    """A server, its workers and its runs."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = MemoryServer(self.clock)
        self.scripts: dict[str, Script] = {}
        self.crews: list[Crew] = []
        self.client = self._engine("client")
        self._runs = 0

    async def crew(self, name: str = "w1", *kinds: str, slots: int = 1, settled: bool = True, **options: Any) -> Crew:
        crew = Crew(MemoryBus(self.server), name, self.scripts, slots=slots)
        self.crews.append(crew)
        await crew.serve(*kinds, **options)
        if settled:
            await self.clock.advance(2.5)  # so that it may judge others
        return crew

    async def submit(self, **dags: str | DagSpec) -> RunId:
        """Start a run. A dag is written as `a b`, `a>b>c` or `a>c b>c`; only `main` starts with the run."""
        code = await self.client.blobs.put_code(b"code")
        specs = {DagName(name): dag_of(name, dag, code) if isinstance(dag, str) else dag for name, dag in dags.items()}
        spec = WorkflowSpec(name="test", dags=specs, python="py", engine="0")
        self._runs += 1
        run = RunId(f"run{self._runs}")
        job = WorkflowJob(
            run=run, workflow="test", spec=await self.client.blobs.put_code(pack_spec(spec)), queue="workflow"
        )
        await self.client.bus.enqueue(self.client.subjects.job_workflow("workflow", run), pack_job(job))
        return run

    async def until(self, is_so: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Let time pass until it is so."""
        for _ in range(int(seconds * 10)):
            await self.clock.advance(0.0)
            if is_so():
                return
            await self.clock.advance(0.1)
        raise TimeoutError("it never came")

    async def events(self, run: RunId) -> list[Event]:
        page = await self.client.bus.read(self.client.subjects.run_events(run), limit=1_000_000)
        return [event for record in page.records for event in unpack_events(record.payload)]

    async def of(self, run: RunId, kind: type[Event]) -> list[Any]:
        return [event for event in await self.events(run) if isinstance(event, kind)]

    async def has(self, run: RunId, kind: type[Event], *, times: int = 1, seconds: float = 30.0) -> list[Any]:
        """Return the events of that kind when there are so many."""
        for _ in range(int(seconds * 10)):
            await self.clock.advance(0.0)
            if len(found := await self.of(run, kind)) >= times:
                return found
            await self.clock.advance(0.1)
        raise TimeoutError(f"it never came: {await self.events(run)}")

    async def comes(self, run: RunId, kind: type[Event]) -> Event:
        """Return the next event of that kind; for what happens in real time."""
        news: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def on_record(record: Record) -> None:
            for event in unpack_events(record.payload):
                if isinstance(event, kind) and not news.done():
                    news.set_result(event)

        watch = self.client.bus.watch(self.client.subjects.run_events(run), on_record)
        try:
            async with asyncio.timeout(10):
                return await news
        finally:
            watch.close()

    async def close(self) -> None:
        for crew in self.crews:
            crew.close()
        self.client.close()
        await self.server.close()
        await asyncio.sleep(0)

    def _engine(self, name: str) -> Engine:
        bus = MemoryBus(self.server)
        return Engine(bus, WorkerId(name), KvStore(bus))


def dag_of(name: str, schema: str, code: str) -> DagSpec:
    tasks: dict[str, TaskSpec] = {}
    edges: list[Edge] = []
    for path in schema.split():
        names = path.split(">")
        for each in names:
            tasks.setdefault(each, TaskSpec(id=TaskId(each), name=each, code=code))
        edges += [Edge(parent=TaskId(a), child=TaskId(b)) for a, b in pairwise(names)]
    return DagSpec(name=DagName(name), tasks=tuple(tasks.values()), edges=tuple(edges), autostart=name == "main")
