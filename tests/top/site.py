"""A site in memory: runs that are driven and tasks that run, as far as their records tell."""

from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.port import Intake, Job, JobQueue
from nflow.core.events import DagFinished, DagStarted, Event, OwnerChanged, RunFinished, RunStarted, Status
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.engine.engine import Engine
from nflow.engine.runs import RunEntry
from nflow.runs import new_run_id
from nflow.store.kv import KvStore
from nflow.wire.digest import digest
from nflow.wire.hints import pack_hint
from nflow.wire.lines import Line, pack_lines
from nflow.wire.messages import pack_events, pack_spec
from nflow.worker.heartbeat import BUCKET, WorkerEntry
from tests.top.script import EDGE, MAIN, SCAN


class Site:
    """Writes what drivers and workers would."""

    def __init__(self, server: MemoryServer) -> None:
        self.bus = MemoryBus(server)
        self.engine = Engine(self.bus, WorkerId("site"), KvStore(self.bus))
        self.subjects = self.engine.subjects
        self.jobs: list[Job] = []
        self.intakes: list[Intake] = []
        self._count = 0

    async def submit(self, workflow: str = "scan") -> RunId:
        """A run waits."""
        self._count += 1
        run = new_run_id(1000.0 + self._count)
        await self.engine.index.put(self._entry(run, workflow, "waiting"))
        await self.bus.enqueue(self.subjects.job_workflow("workflow", run), b"")
        return run

    async def begin(self, workflow: str = "scan") -> RunId:
        """A run is driven, and its dag."""
        run = await self.submit(workflow)
        await self.bus.withdraw(self.subjects.job_workflow("workflow", run))
        spec = pack_spec(SCAN)
        await self.engine.blobs.put_code(spec)
        await self.engine.index.put(self._entry(run, workflow, "running"))
        await self.bus.append(self.subjects.owner(run), pack_events([OwnerChanged(worker=EDGE)]))
        begun = [RunStarted(workflow=workflow, spec=digest(spec), engine="1"), DagStarted(key="k", dag=MAIN)]
        await self.bus.append(self.subjects.own(run), pack_events(begun))
        return run

    async def tell(self, run: RunId, *events: Event, dag: DagId | None = MAIN) -> None:
        """These happened."""
        for event in events:
            task = getattr(event, "task", None)
            subject = self.subjects.own(run) if task is None or dag is None else self.subjects.task(run, dag, task)
            await self.bus.append(subject, pack_events([event]))

    async def end(self, run: RunId, status: Status = Status.SUCCEEDED, **counts: int) -> None:
        """A run has ended."""
        finished = DagFinished(dag=MAIN, status=status, **counts)
        await self.bus.append(self.subjects.own(run), pack_events([finished, RunFinished(status=status)]))
        await self.engine.index.put(self._entry(run, "scan", status.value))

    async def write(self, run: RunId, task: str, *texts: str) -> None:
        """A task prints."""
        lines = [Line(at=1.0, stream="out", text=text) for text in texts]
        await self.bus.append(self.subjects.lines(run, MAIN, TaskId(task)), pack_lines(lines, attempt=1))

    async def task_waits(self, run: RunId, queue: str) -> None:
        """A task is in a queue."""
        await self.bus.enqueue(self.subjects.job_task(queue, "py311", run, MAIN, TaskId("fit"), 1), b"")

    async def serve(self, *queues: str, worker: WorkerId = EDGE) -> None:
        """A worker beats, and takes tasks."""
        for queue in queues:
            address = self.subjects.queue("task", queue, "py311")
            self.intakes.append(await self.bus.take(JobQueue(address.name, address.subject), self.jobs.append))
        entry = WorkerEntry(
            worker=worker,
            host="edge",
            pid=1,
            python="py311",
            version="1",
            queues=queues,
            slots=2,
            tasks=0,
            drives=0,
            repaired=0,
            started=0.0,
            seen=0.0,
        )
        await self.bus.append(self.subjects.kv(BUCKET, worker), pack_hint(entry), ttl=10.0)

    @staticmethod
    def _entry(run: RunId, workflow: str, state: str) -> RunEntry:
        return RunEntry(run=run, workflow=workflow, state=state, queue="workflow", submitted=1000.0)
