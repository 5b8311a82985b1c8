"""What a person sees of one run while it moves. Pure: events in, counts and failures out."""

from collections import Counter
from dataclasses import dataclass, field

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    RemoteError,
    RunFinished,
    RunStarted,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId
from nflow.wire.subjects import event_place, name_of


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed, and why."""

    dag: str
    task: str
    host: str
    error: RemoteError


@dataclass(slots=True)
class RunView:
    """The fold of all logs of a run, for people."""

    sizes: dict[str, int]  #: tasks of each dag by its name
    started: float | None = None
    finished: RunFinished | None = None
    ended: float | None = None
    stopping: str | None = None
    dags: dict[DagId, bool] = field(default_factory=dict)  #: dag runs; True once finished
    running: set[tuple[str, str]] = field(default_factory=set)  #: (dag, task) of tasks in flight
    settled: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Tasks of all dag runs that have been started so far."""
        return sum(self.sizes.get(dag.rpartition(":")[0], 0) for dag in self.dags)

    @property
    def counts(self) -> Counter[str]:
        """Settled tasks by state."""
        return Counter(self.settled.values())

    @property
    def dags_running(self) -> int:
        """Dag runs that have not finished."""
        return sum(not finished for finished in self.dags.values())

    def take(self, event: Event, record: Record) -> None:
        """Take an event into the view."""
        match event:
            case RunStarted():
                self.started = record.at
            case DagStarted(dag=dag):
                self.dags.setdefault(dag, False)
            case DagFinished(dag=dag):
                self.dags[dag] = True
            case StopRequested(reason=reason, dag=None):
                self.stopping = self.stopping or reason
            case RunFinished():
                self.finished, self.ended = event, record.at
            case _:
                self._take_of_task(event, record)

    def _take_of_task(self, event: Event, record: Record) -> None:
        place = str(name_of(event_place(record.subject).dag))
        match event:
            case TaskStarted(task=task):
                if (place, task) not in self.settled:
                    self.running.add((place, task))
            case TaskReleased(task=task):
                self.running.discard((place, task))
            case TaskSucceeded(task=task):
                self._settle(place, task, "succeeded")
            case TaskSkipped(task=task):
                self._settle(place, task, "skipped")
            case TaskCancelled(task=task) | TaskAborted(task=task):
                self._settle(place, task, "cancelled")
            case TaskFailed(task=task):
                self._settle(place, task, "failed")
                self.failures.append(Failure(place, task, event.provenance.host, event.error))
            case _:
                pass

    def _settle(self, dag: str, task: str, state: str) -> None:
        self.running.discard((dag, task))
        self.settled[dag, task] = state
