"""Views of runs, and events told to them in the order of a log."""

from nflow.bus.port import Record
from nflow.core.events import (
    DagStarted,
    Event,
    Provenance,
    RemoteError,
    RunStarted,
    TaskFailed,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.view.run import RunView
from nflow.wire.subjects import Subjects

SUBJECTS = Subjects("nflow")
RUN = RunId("01run")
MAIN = DagId("main:1")
A, B = TaskId("a"), TaskId("b")
WHO = Provenance(worker=WorkerId("w"), host="edge-1", pid=1, start=0.0, end=1.0)
WHY = RemoteError(type="ValueError", message="no beam", traceback="Traceback ...\nValueError: no beam\n")


def started(task: TaskId) -> Event:
    return TaskStarted(task=task, attempt=1, execution=1, worker=WorkerId("w"), host="edge-1")


def succeeded(task: TaskId) -> Event:
    return TaskSucceeded(task=task, attempt=1, execution=1, provenance=WHO)


def failed(task: TaskId) -> Event:
    return TaskFailed(task=task, attempt=1, execution=1, error=WHY, provenance=WHO)


class Tale:
    """A view, and events for it in the order of the log."""

    def __init__(self, **sizes: int) -> None:
        self.view = RunView(sizes)
        self._seq = 0

    def tell(self, *events: Event, dag: DagId | None = None) -> "Tale":
        for event in events:
            self._seq += 1
            subject = SUBJECTS.own(RUN, dag)
            self.view.take(event, Record(subject, self._seq, 100.0 + self._seq, b""))
        return self


def begun() -> Tale:
    """A run of which one dag with two tasks was started."""
    return Tale(main=2, sub=3).tell(RunStarted(workflow="w", spec="", engine=""), DagStarted(key="k", dag=MAIN))
