"""What a person sees of one run while it moves. Pure: events in; what is in flight, counts and failures out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from nflow.bus.port import Record
from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, TaskId
from nflow.core.retry import RetrySpec, pause_after
from nflow.core.workflow_state import name_of as dag_name_of
from nflow.wire.subjects import event_place, name_of, token

_ENDS = {
    TaskSucceeded: "succeeded",
    TaskFailed: "failed",
    TaskSkipped: "skipped",
    TaskCancelled: "cancelled",
    TaskAborted: "cancelled",
}

Retries: TypeAlias = Mapping[tuple[DagName, TaskId], RetrySpec]

#: Failures that are kept with their tracebacks; of a fan-out that fails 10 000 times the rest is but counted.
MOST_FAILURES = 5

#: What stands for a dag in the subjects of the workflow's own log.
_WORKFLOW = "_"

#: Dag runs in flight that a frame names.
MOST_DAGS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A task that failed, and why."""

    dag: DagId
    event: TaskFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class DagFrame:
    """A dag run in flight, at one moment."""

    dag: DagId
    done: int
    total: int
    running: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The run at one moment, as it is drawn; another thread may have it while the view goes on."""

    done: int
    total: int  #: tasks of all dag runs that were started so far
    running: int
    dags: tuple[DagFrame, ...]  #: in flight; the oldest of those with running tasks come first
    more_dags: int  #: in flight beside these
    remark: str | None = None  #: what a person should know beside that: why it stops, that the server is away


@dataclass(slots=True)
class _Dag:
    """A dag run in flight."""

    total: int
    running: dict[TaskId, None] = field(default_factory=dict)  # a dict, for it keeps the order of their starts
    retrying: set[TaskId] = field(default_factory=set)  # between two attempts
    is_stopping: bool = False
    settled: dict[TaskId, tuple[str, int]] = field(default_factory=dict)  # how, and in which attempt
    counts: Counter[str] = field(default_factory=Counter)
    tried: dict[TaskId, int] = field(default_factory=dict)  # attempts that are used up, of tasks that may have several
    bases: dict[TaskId, int] = field(default_factory=dict)  # those from before it was reopened

    def take(self, event: TaskEvent, *, is_over: bool) -> None:
        match event:
            case TaskStarted(task=task, attempt=attempt) if attempt > self.settled.get(task, ("", 0))[1]:
                self._unsettle(task)
                self.retrying.discard(task)
                self.running[task] = None
            case TaskReleased(task=task):
                self.running.pop(task, None)
            case TaskFailed(task=task) if not is_over:
                self.running.pop(task, None)
                self.retrying.add(task)
            case _ if (state := _ENDS.get(type(event))) is not None:
                self._settle(event.task, state, getattr(event, "attempt", 0))

    def reopened(self) -> "_Dag":
        """It begins again: what succeeded counts, and what was skipped, as far as is known."""
        kept = {task: how for task, how in self.settled.items() if how[0] in ("succeeded", "skipped")}
        counts = Counter(state for state, _ in kept.values())
        return _Dag(total=self.total, settled=kept, counts=counts, tried=self.tried, bases=dict(self.tried))

    def ended(self, event: DagFinished) -> "_Dag":
        """What is kept of it: its counts, and of one that may begin again what had succeeded."""
        ends = {state: getattr(event, state) for state in ("succeeded", "failed", "skipped", "cancelled")}
        counts = Counter({state: count for state, count in ends.items() if count})
        settled = {} if event.status is Status.SUCCEEDED else self.settled
        return _Dag(total=self.total, settled=settled, counts=counts, tried=self.tried)

    def _settle(self, task: TaskId, state: str, attempt: int) -> None:
        self.running.pop(task, None)
        self.retrying.discard(task)
        if task not in self.settled:
            self.settled[task] = state, attempt
            self.counts[state] += 1

    def _unsettle(self, task: TaskId) -> None:
        if (before := self.settled.pop(task, None)) is not None:
            self.counts[before[0]] -= 1


class RunView:
    """The fold of all logs of a run, for people. What it keeps of an ended dag run is its counts."""

    def __init__(self, sizes: Mapping[str, int], retries: Retries | None = None) -> None:
        """Begin with nothing seen.

        Args:
            sizes: How many tasks each dag has, by its name.
            retries: Those tasks, by dag and task, that are tried more than once.
        """
        self.started: float | None = None  #: seconds since the epoch, by the server's clock; so is `ended`
        self.ended: float | None = None
        self.finished: RunFinished | None = None
        self.opening = 0  #: how often it was retried
        self.stopping: str | None = None
        self.stopped_dags: dict[str, str] = {}  #: those that somebody has stopped, as they were named, and who that was
        self.failures: list[Failure] = []  #: the first ones
        self.news: list[str] = []  #: what a person should be told once; for whoever tells it to clear
        self._sizes = sizes
        self._retries = retries or {}
        self._flying: dict[DagId, _Dag] = {}
        self._over: dict[DagId, _Dag] = {}
        self._names: dict[str, DagId] = {}  # the dags that subjects name by a digest
        self._counts: Counter[str] = Counter()  # of dag runs that are over

    @property
    def counts(self) -> Counter[str]:
        """How many tasks have ended, by how they did."""
        return sum((dag.counts for dag in self._flying.values()), self._counts)

    @property
    def dags(self) -> tuple[DagId, ...]:
        """The dag runs in flight, the oldest first."""
        return tuple(self._flying)

    @property
    def retrying(self) -> int:
        """How many tasks wait for their next attempt."""
        return sum(len(dag.retrying) for dag in self._flying.values())

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.ended or 0.0) - (self.started or self.ended or 0.0)

    def frame(self) -> Frame:
        """The run as it is now."""
        flying = sorted(self._flying.items(), key=lambda item: not item[1].running)
        over = self._counts.total()
        return Frame(
            done=over + sum(len(dag.settled) for _, dag in flying),
            total=over + sum(dag.total for _, dag in flying),
            running=sum(len(dag.running) for _, dag in flying),
            dags=tuple(
                DagFrame(dag=name, done=len(dag.settled), total=dag.total, running=tuple(dag.running))
                for name, dag in flying[:MOST_DAGS]
            ),
            more_dags=max(0, len(flying) - MOST_DAGS),
            remark=self.stopping,
        )

    def take(self, event: Event, record: Record) -> None:
        """Take an event into the view."""
        if isinstance(event, TaskEvent):  # by far the most are
            self._take_of_task(event, self._dag_of(record))
            return
        match event:
            case RunStarted():
                self.started = record.at
            case DagStarted(dag=dag):
                self._names[token(dag)] = dag
                self._dag(dag)
            case DagFinished(dag=dag) if (flying := self._dag(dag)) is not None:
                self._over[dag] = flying.ended(event)
                self._counts += self._over[dag].counts
                del self._flying[dag]
            case RunRetried():
                self._reopen(event, record.at)
            case StopRequested():
                self._stop(event, record)
            case RunFinished():
                self.finished, self.ended = event, record.at

    def _stop(self, event: StopRequested, record: Record) -> None:
        if event.dag is not None:
            self.stopped_dags.setdefault(event.dag, event.by)
        elif event_place(record.subject).dag == _WORKFLOW:
            self.stopping = self.stopping or event.reason
        elif (dag := self._dag(self._dag_of(record))) is not None:  # what the driver of the run told one dag run
            dag.is_stopping = True

    def _reopen(self, event: RunRetried, at: float) -> None:
        self.opening, self.started = event.number, at
        self.finished = self.ended = self.stopping = None
        self.failures.clear()
        self.stopped_dags.clear()
        for dag in event.superseded:  # whatever became of it, others take its place
            if dag in self._over:
                self._counts -= self._over[dag].counts
                self._over[dag] = _Dag(total=0)
        for dag in event.dags:
            if dag in self._over:
                over = self._over.pop(dag)
                self._counts -= over.counts
                self._flying[dag] = over.reopened()

    def _take_of_task(self, event: TaskEvent, name: DagId) -> None:
        dag = self._dag(name)
        if self._retries and (dag_name_of(name), event.task) in self._retries:
            self._count_attempt(event, dag or self._over[name])
        is_over = not (isinstance(event, TaskFailed) and self._is_tried_again(event, name))
        if isinstance(event, TaskFailed) and is_over and len(self.failures) < MOST_FAILURES:
            self.failures.append(Failure(dag=name, event=event))
        if dag is not None:  # else its end was counted already, and this came late
            dag.take(event, is_over=is_over)

    @staticmethod
    def _count_attempt(event: TaskEvent, dag: _Dag) -> None:
        """Count as the driver does: an attempt that was claimed is used up, and so is one that a stop has cancelled."""
        dag.tried[event.task] = max(dag.tried.get(event.task, 0), getattr(event, "attempt", 0))

    def _is_tried_again(self, event: TaskFailed, name: DagId) -> bool:
        """Whether another attempt follows; the news of it are kept to be told."""
        retry = self._retries.get((dag_name_of(name), event.task))
        if retry is None:
            return False
        dag = self._dag(name) or self._over[name]
        attempt = event.attempt - dag.bases.get(event.task, 0)
        pause = pause_after(retry, attempt, event.error, seed=(name, event.task))
        if pause is None:
            return False
        dag.tried[event.task] = max(
            dag.tried.get(event.task, 0), event.attempt + 1
        )  # a stop cancels it, and uses it up
        if self.stopping is not None or dag.is_stopping:
            return False
        what = event.error.words.partition("\n")[0].removesuffix(".")
        self.news.append(
            f"{name}/{event.task} failed on {event.provenance.host}: {what}. "
            f"Attempt {attempt + 1} of {retry.attempts} follows in {pause:.3g} s."
        )
        return True

    def _dag(self, name: DagId) -> _Dag | None:
        """The dag run of that name, new or known; None once it is over."""
        if name in self._over:
            return None
        if name not in self._flying:
            self._flying[name] = _Dag(total=self._sizes.get(name.rpartition(":")[0], 0))
        return self._flying[name]

    def _dag_of(self, record: Record) -> DagId:
        place = event_place(record.subject).dag
        return self._names.get(place) or DagId(name_of(place) or place)
