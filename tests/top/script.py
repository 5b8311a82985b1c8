"""A source for the monitor's screens that says what a test has written, at a time that stands still."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    OwnerChanged,
    Provenance,
    RemoteError,
    RunFinished,
    RunStarted,
    Status,
    StopRequested,
    TaskCancelled,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, RunId, TaskId, WorkerId
from nflow.core.spec import DagSpec, Edge, TaskSpec, WorkflowSpec
from nflow.engine.runs import RunEntry
from nflow.errors import NflowError
from nflow.top.feed import view_of
from nflow.top.model import Link, Model
from nflow.top.queues import Fill
from nflow.top.tree import Leaf, Plan
from nflow.view.detail import RunDetail
from nflow.wire.lines import Line
from nflow.wire.subjects import Subjects
from nflow.worker.heartbeat import WorkerEntry

SUBJECTS = Subjects("nflow")
NOW = 1_700_000_000.0  # 22:13:20 UTC
MAIN = DagId("main:1")
EDGE = WorkerId("edge-1-a1b2c3")

TRACEBACK = """Traceback (most recent call last):
  File "scan.py", line 12, in fit
    raise ValueError("no peak in frame 7")
ValueError: no peak in frame 7
"""


def spec(*tasks: str, queue: str = "task") -> WorkflowSpec:
    """A workflow with one dag, whose first task comes before all others, and its last after them."""
    first, *middle, last = tasks
    edges = [Edge(parent=TaskId(first), child=TaskId(each)) for each in middle]
    edges += [Edge(parent=TaskId(each), child=TaskId(last)) for each in middle or [first]]
    dag = DagSpec(
        name=DagName("main"),
        tasks=tuple(TaskSpec(id=TaskId(each), name=each, code="", queue=queue) for each in tasks),
        edges=tuple(edges),
    )
    return WorkflowSpec(name="scan", dags={DagName("main"): dag}, python="py311", engine="1")


SCAN = spec("read", "fit", "index", "report")


def who(start: float, end: float) -> Provenance:
    return Provenance(worker=EDGE, host="edge", pid=77, start=start, end=end, peak_memory_bytes=50_000_000)


def started(task: str, attempt: int = 1) -> Event:
    return TaskStarted(task=TaskId(task), attempt=attempt, execution=1, worker=EDGE, host="edge")


def succeeded(task: str, start: float = NOW, end: float = NOW) -> Event:
    return TaskSucceeded(task=TaskId(task), attempt=1, execution=1, provenance=who(start, end))


def failed(task: str, message: str = "no peak in frame 7", traceback: str = TRACEBACK) -> Event:
    error = RemoteError(type="ValueError", message=message, traceback=traceback, hint="Look at the shutter.")
    return TaskFailed(task=TaskId(task), attempt=1, execution=1, error=error, provenance=who(NOW, NOW + 3))


def cancelled(task: str) -> Event:
    return TaskCancelled(task=TaskId(task), reason="task 'fit' failed")


@dataclass
class OpenedScript:
    """A run that was told before."""

    detail: RunDetail
    plan: Plan
    version: int = 0
    lines: deque[Line] = field(default_factory=deque)
    is_closed: bool = False
    written: dict[str, list[Line]] = field(default_factory=dict)

    async def start(self) -> None:
        self.version += 1

    async def close(self) -> None:
        self.is_closed = True

    def look_at(self, leaf: Leaf | None) -> None:
        self.lines = deque(self.written.get(leaf.place, ()) if leaf else ())


class Script:
    """What the screens show is what `tell` and its like were called with."""

    def __init__(self) -> None:
        self.model = Model()
        self.at = NOW
        self.visible: tuple[RunId, ...] = ()
        self.asked: list[str] = []  #: what the screens have asked for
        self.refusal: NflowError | None = None
        self.written: dict[str, list[Line]] = {}  #: by the place of the task
        self.opened: list[OpenedScript] = []
        self._specs: dict[RunId, WorkflowSpec] = {}
        self._logs: dict[RunId, list[tuple[Event, Record]]] = {}
        self._seq = 0

    # --- what a test tells ---

    def submit(self, run: str, workflow: str = "scan", *, age: float = 60.0, plan: WorkflowSpec = SCAN) -> "Script":
        """A run waits for its driver."""
        self._specs[RunId(run)] = plan
        entry = RunEntry(run=RunId(run), workflow=workflow, state="waiting", queue="workflow", submitted=self.at - age)
        self.model.runs.update(entry)
        self.model.version += 1
        return self

    def begin(self, run: str, workflow: str = "scan", *, age: float = 60.0, plan: WorkflowSpec = SCAN) -> "Script":
        """A run has begun, with one dag."""
        self.submit(run, workflow, age=age, plan=plan)
        self.tell(run, OwnerChanged(worker=EDGE), RunStarted(workflow=workflow, spec="", engine="1"), ago=age)
        line = self.model.runs.get(RunId(run))
        assert line is not None
        line.learn(view_of(plan), through=0)
        self.tell(run, DagStarted(key="k", dag=MAIN), ago=age)
        return self.tell(run, OwnerChanged(worker=EDGE), dag=MAIN, ago=age)

    def tell(self, run: str, *events: Event, dag: DagId | None = None, ago: float = 0.0) -> "Script":
        """These happened in a run."""
        for event in events:
            self._seq += 1
            record = Record(SUBJECTS.own(RunId(run), dag), self._seq, self.at - ago, b"")
            self._logs.setdefault(RunId(run), []).append((event, record))
            self.model.take(event, record)
            for opened in self.opened:
                if opened.detail.run == run:
                    opened.detail.take(event, record)
                    opened.version += 1
        return self

    def end(self, run: str, status: Status, reason: str = "", *, ago: float = 0.0, **counts: int) -> "Script":
        """A run has ended, with its dag."""
        return self.tell(
            run, DagFinished(dag=MAIN, status=status, **counts), RunFinished(status=status, reason=reason), ago=ago
        )

    def serve(self, *queues: str, worker: str = EDGE, **more: object) -> "Script":
        """A worker is there."""
        entry = WorkerEntry(
            worker=WorkerId(worker),
            host="edge",
            pid=1,
            python="py311",
            version="0.1.0",
            queues=queues,
            slots=4,
            tasks=1,
            drives=2,
            repaired=0,
            started=self.at - 3700,
            seen=self.at - 1,
            up=3700.0,
            **{"busy": 1, "cpu": 0.5, "memory_bytes": 130_000_000} | more,  # type: ignore[arg-type]
        )
        self.model.take_workers([*self.model.workers, entry])
        return self

    def fill(self, *fills: Fill) -> "Script":
        """The queues are so full."""
        self.model.take_fills(fills)
        return self

    def lose_server(self) -> "Script":
        self.model.take_link(Link(is_up=False, since=self.at))
        return self

    def find_server(self) -> "Script":
        self.model.take_link(Link(is_up=True, since=self.at))
        return self

    # --- what the screens ask ---

    def now(self) -> float:
        return self.at

    def look(self) -> None:
        pass

    def show(self, visible: Iterable[RunId]) -> None:
        self.visible = tuple(visible)

    def open(self, run: RunId) -> OpenedScript:
        opened = OpenedScript(RunDetail(run=run), Plan.of(self._specs[run]), written=self.written)
        for event, record in self._logs.get(run, ()):
            opened.detail.take(event, record)
        self.opened.append(opened)
        return opened

    async def stop(self, run: RunId, *, is_urgent: bool = False) -> None:
        self._ask(f"stop {run}{' now' if is_urgent else ''}")

    async def retry(self, run: RunId) -> None:
        self._ask(f"retry {run}")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal


def night() -> Script:
    """A beamline at two in the morning: runs of all outcomes, and a queue that nobody serves."""
    script = Script().serve("workflow", "dag", "task")
    script.begin("01aaa", "align", age=7300.0)
    script.tell("01aaa", started("read"), succeeded("read"), dag=MAIN, ago=7200.0)
    script.end("01aaa", Status.SUCCEEDED, ago=7100.0, succeeded=1)
    script.begin("01bbb", age=900.0).tell("01bbb", started("read"), succeeded("read"), dag=MAIN, ago=890.0)
    script.tell("01bbb", started("fit"), failed("fit"), cancelled("index"), cancelled("report"), dag=MAIN, ago=880.0)
    script.end(
        "01bbb",
        Status.FAILED,
        "task 'fit' failed: ValueError: no peak in frame 7",
        ago=870.0,
        succeeded=1,
        failed=1,
        cancelled=2,
    )
    script.begin("01ccc", age=600.0)
    script.tell("01ccc", StopRequested(reason="stopped by ada", by="ada"), ago=590.0)
    script.end("01ccc", Status.STOPPED, "stopped by ada", ago=580.0, cancelled=4)
    script.begin("01ddd", "train", age=500.0, plan=spec("load", "train", queue="gpu"))
    script.begin("01eee", age=120.0).tell("01eee", started("read"), succeeded("read"), dag=MAIN, ago=110.0)
    script.tell("01eee", started("fit"), started("index"), dag=MAIN, ago=100.0)
    script.begin("01fff", age=50.0).tell("01fff", StopRequested(reason="stopped by bob", by="bob"), ago=5.0)
    script.submit("01ggg", age=3.0)
    return script.fill(
        Fill(kind="task", queue="gpu", python="py311", waiting=1, in_hand=0, oldest=NOW - 480, runs=("01ddd",)),
        Fill(kind="task", queue="task", python="py311", waiting=12, in_hand=2, oldest=NOW - 4),
        Fill(kind="workflow", queue="workflow", python="any", waiting=1, in_hand=3, oldest=NOW - 3),
    )


def lines(*texts: str) -> Iterator[Line]:
    for number, text in enumerate(texts):
        yield Line(at=NOW - 60 + number, stream="out", text=text)
