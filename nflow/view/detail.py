"""All there is to know of one run: its dag runs, their tasks, attempts and executions. Pure: events in, answers out.

The states are those of `core/`, as far as events tell without the graph: a task that nothing was heard of is not here.
Events may come late or repeated, as long as those of one task keep their order. What keeps no fold in memory, such as a
database, may hand in the parts that the next events are about: no event looks at others, but those that reopen a run.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from nflow.bus.port import Record
from nflow.core.dataset import Ref
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    Event,
    OwnerChanged,
    Provenance,
    RemoteError,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, RunId, TaskId, WorkerId
from nflow.core.retry import RetrySpec, pause_after
from nflow.core.spec import WorkflowSpec
from nflow.core.workflow_state import name_of as dag_name_of
from nflow.wire.subjects import event_place, name_of, token

#: The policies of those tasks, by dag and task, that are tried more than once.
Retries: TypeAlias = Mapping[tuple[DagName, TaskId], RetrySpec]

_Outcome: TypeAlias = TaskSucceeded | TaskFailed | TaskAborted

#: States that a task ends in.
SETTLED = frozenset({"succeeded", "failed", "skipped", "cancelled"})

#: States that a run or a dag run ends in.
ENDED = frozenset(status.value for status in Status)

#: The state of a run whose log was removed before anybody has read its end.
UNKNOWN = "unknown"

#: What is said of a run whose first events nobody could read.
NO_BEGINNING = "the beginning of its log is gone"

#: What is said of an event that stands where it has no business.
MISPLACED = "an event stands in a log that it does not belong to"

_NOBODY = WorkerId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that is missing here, and why."""

    seq: int  #: of the record in question, or of the last one that was seen
    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrial:
    """A run that had ended, and was begun again."""

    number: int
    at: float
    by: str
    status: str  #: how the run had ended
    reason: str
    ended: float | None


@dataclass(slots=True, kw_only=True)
class ExecutionDetail:
    """One claim of an attempt. `claimed` and `settled` are by the server's clock, the others by the worker's."""

    number: int
    worker: WorkerId = _NOBODY
    host: str = ""
    pid: int | None = None
    state: str = "running"  #: running succeeded failed cancelled; released: handed back unused; lost: with its worker
    claimed: float | None = None
    started: float | None = None  #: when the user's code began
    ended: float | None = None
    settled: float | None = None  #: when its outcome was on record
    peak_memory_bytes: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long the user's code ran."""
        return None if self.started is None or self.ended is None else max(self.ended - self.started, 0.0)


@dataclass(slots=True, kw_only=True)
class AttemptDetail:
    """One try at a task."""

    number: int
    state: str = "ready"  #: ready running succeeded failed cancelled
    executions: dict[int, ExecutionDetail] = field(default_factory=dict)
    lost: int = 0  #: executions that vanished with their worker
    reason: str = ""  #: why it was cancelled, or what ended it early
    error: RemoteError | None = None
    exit_code: int | None = None
    output: tuple[str, ...] = ()  #: the last lines that it wrote, where it failed

    @property
    def last(self) -> ExecutionDetail | None:
        """The execution that counts."""
        return next(reversed(self.executions.values()), None)


@dataclass(slots=True, kw_only=True)
class TaskDetail:
    """A task of a dag run."""

    id: TaskId
    state: str = "waiting"
    claim: tuple[int, int] = (1, 0)  #: the last one's attempt and execution; (n, 0): attempt n is to come
    base: int = 0  #: attempts from before it was reopened, which do not count
    opening: int = 0  #: of its dag run, when it came into its state
    since: float | None = None  #: when it came into its state
    reason: str = ""  #: why it was cancelled
    attempts: dict[int, AttemptDetail] = field(default_factory=dict)

    @property
    def last(self) -> AttemptDetail | None:
        """The newest attempt."""
        return next(reversed(self.attempts.values()), None)


@dataclass(slots=True, kw_only=True)
class DagDetail:
    """A dag run."""

    id: DagId
    state: str = "waiting"
    request: str = ""  #: the key of the request that it was started for
    worker: WorkerId = _NOBODY  #: who drives it, or did last
    requested: float | None = None  #: when it was granted
    started: float | None = None  #: when its first driver took it
    ended: float | None = None
    opening: int = 0
    reason: str = ""  #: why it stops, or was stopped
    by: str = ""  #: who wanted that
    is_superseded: bool = False  #: a retry has others take its place
    counts: Counter[str] = field(default_factory=Counter)  #: of its tasks by state, as far as they were heard of
    tasks: dict[TaskId, TaskDetail] = field(default_factory=dict)

    @property
    def name(self) -> DagName:
        """The dag as it is defined."""
        return dag_name_of(self.id)

    def task(self, task: TaskId) -> TaskDetail:
        """The task of that id, known or new."""
        found = self.tasks.get(task)
        if found is None:
            found = self.tasks[task] = TaskDetail(id=task)
            self.counts[found.state] += 1
        return found

    def move(self, task: TaskDetail, state: str, at: float) -> None:
        """Take down how far a task is."""
        self.counts[task.state] -= 1
        self.counts[state] += 1
        task.state, task.since, task.opening = state, at, self.opening


@dataclass(slots=True, kw_only=True)
class RunDetail:
    """The fold of all logs of a run. Begins with nothing but its id; `take` tells it the rest. Times: see `Record`."""

    run: RunId
    retries: Retries = field(default_factory=dict)  #: without them, an attempt that failed looks final until the next
    workflow: str = ""
    state: str = "waiting"
    queue: str = ""
    worker: WorkerId = _NOBODY  #: who drives it, or did last
    submitted: float | None = None
    started: float | None = None
    ended: float | None = None
    reason: str = ""  #: why it stops, or how it came to its end
    by: str = ""  #: who wanted it to stop
    spec: str = ""  #: digest of what was planned from
    engine: str = ""  #: version of nflow
    directory: str = ""
    folder: str = ""
    keep_data: bool = False
    parameters: dict[str, Ref] = field(default_factory=dict)
    opening: int = 0  #: how often it was retried
    retrials: list[Retrial] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)  #: what is missing
    dags: dict[DagId, DagDetail] = field(default_factory=dict)
    _names: dict[str, DagId] = field(default_factory=dict)  # of dags that subjects name by a digest

    @property
    def counts(self) -> Counter[str]:
        """How many tasks there are in which state, but for those of dag runs whose place others have taken."""
        return sum((dag.counts for dag in self.dags.values() if not dag.is_superseded), Counter())

    def dag(self, dag: DagId) -> DagDetail:
        """The dag run of that name, known or new."""
        found = self.dags.get(dag)
        if found is None:
            found = self.dags[dag] = DagDetail(id=dag)
            self._names[token(dag)] = dag
        return found

    def dag_of(self, record: Record) -> DagId | None:
        """The dag run whose log a record belongs to; None for the log of the workflow."""
        place = event_place(record.subject).dag
        return None if place == "_" else self._names.get(place) or DagId(name_of(place) or place)

    def take(self, event: Event, record: Record) -> None:
        """Take an event into what is known. What is of no known kind says nothing to people."""
        if (of_task := _TASK_TAKERS.get(type(event))) is not None:
            if self.started is None:
                self.expect_beginning(record)
            if (dag := self.dag_at(record)) is not None:
                of_task(self, dag, event, record)
        elif (taker := _TAKERS.get(type(event))) is not None:
            taker(self, event, record)

    def dag_at(self, record: Record) -> DagDetail | None:
        """The dag run whose log an event stands in that belongs to one; None, with a note, if it stands elsewhere."""
        name = self.dag_of(record)
        if name is None:
            self.note(record, MISPLACED)
            return None
        return self.dag(name)

    def take_unreadable(self, record: Record, why: str) -> None:
        """Note that nobody can know what a record said."""
        self.note(record, why)

    def note(self, record: Record, text: str) -> None:
        """Keep what is missing here, each text once."""
        if all(note.text != text for note in self.notes):
            self.notes.append(Note(seq=record.seq, at=record.at, text=text))

    def expect_beginning(self, record: Record) -> None:
        """Note that the events before this one are gone, if they are."""
        if self.started is None:
            self.note(record, NO_BEGINNING)
            if self.state == "waiting":
                self.state = "running"


def retries_of(spec: WorkflowSpec) -> Retries:
    """What `RunDetail` needs to know of a workflow that no event tells."""
    return {
        (name, task.id): task.retry for name, dag in spec.dags.items() for task in dag.tasks if task.retry is not None
    }


# --- the workflow ----------------------------------------------------------------------------------------------------


def _run_started(run: RunDetail, event: RunStarted, record: Record) -> None:
    if run.started is not None:
        return
    run.workflow, run.queue, run.spec, run.engine = event.workflow, event.queue, event.spec, event.engine
    run.submitted, run.started = event.submitted or record.at, record.at
    run.directory, run.folder, run.keep_data = event.directory, event.folder, event.keep_data
    run.parameters = dict(event.parameters)
    if run.state == "waiting":
        run.state = "running"


def _run_finished(run: RunDetail, event: RunFinished, record: Record) -> None:
    if event.opening < run.opening or run.state in ENDED:
        return
    run.state, run.reason, run.ended = event.status.value, event.reason, record.at


def _run_retried(run: RunDetail, event: RunRetried, record: Record) -> None:
    if event.number <= run.opening:
        return
    run.expect_beginning(record)
    before = Retrial(
        number=event.number, at=record.at, by=event.by, status=run.state, reason=run.reason, ended=run.ended
    )
    run.retrials.append(before)
    run.opening, run.state, run.ended, run.reason, run.by = event.number, "running", None, "", ""
    run.parameters.update(event.parameters)
    for name in event.superseded:
        run.dag(name).is_superseded = True
    for name in event.dags:
        dag = run.dag(name)
        if event.number > dag.opening:  # else its own log has said so already
            dag.state, dag.ended, dag.reason, dag.by = "waiting", None, "", ""
            dag.opening = event.number


def _dag_started(run: RunDetail, event: DagStarted, record: Record) -> None:
    run.expect_beginning(record)
    dag = run.dag(event.dag)
    dag.request = event.key
    dag.requested = dag.requested or record.at


def _dag_finished(run: RunDetail, event: DagFinished, record: Record) -> None:
    dag = run.dag(event.dag)
    if event.opening >= dag.opening and dag.state not in ENDED:
        dag.state, dag.ended = event.status.value, record.at


# --- both logs -------------------------------------------------------------------------------------------------------


def _owner_changed(run: RunDetail, event: OwnerChanged, record: Record) -> None:
    name = run.dag_of(record)
    if name is None:
        run.worker = event.worker
        return
    dag = run.dag(name)
    dag.worker = event.worker
    dag.started = dag.started or record.at
    if dag.state == "waiting":
        dag.state = "running"


def _stop_requested(run: RunDetail, event: StopRequested, record: Record) -> None:
    name = run.dag_of(record)
    if name is None:
        if event.dag is None and run.state not in ENDED:
            _stop(run, event)
        return
    dag = run.dag(name)
    if event.opening >= dag.opening and dag.state not in ENDED:
        _stop(dag, event)


def _stop(stopped: RunDetail | DagDetail, event: StopRequested) -> None:
    """The first one counts, but a failure outweighs a wish."""
    if stopped.state != "stopping" or event.status is Status.FAILED:
        stopped.reason, stopped.by = event.reason, event.by
    stopped.state = "stopping"


def _dag_reopened(run: RunDetail, event: DagReopened, record: Record) -> None:
    dag = run.dag_at(record)
    if dag is None or event.number < dag.opening or (event.number == dag.opening and dag.state != "waiting"):
        return
    dag.opening, dag.state, dag.ended, dag.reason, dag.by = event.number, "running", None, "", ""
    redone = {task for task in event.redo if task in dag.tasks}
    for task in list(dag.tasks.values()):
        # What follows a redone one begins again too, and skips may: the graph is not known here, so their events tell.
        if task.state in ("failed", "cancelled") or (task.id in redone and task.state in SETTLED):
            _begin_again(dag, task, record.at)


def _begin_again(dag: DagDetail, task: TaskDetail, at: float) -> None:
    is_unused = task.claim == (task.base + 1, 0) and task.state != "failed"
    task.base = task.base if is_unused else task.claim[0]
    task.claim = (task.base + 1, 0)
    task.reason = ""
    dag.move(task, "waiting", at)


# --- tasks -----------------------------------------------------------------------------------------------------------


def _is_open(task: TaskDetail, attempt: int) -> bool:
    """Whether claims and outcomes of this attempt count: of a settled task, if it must have been reopened."""
    if task.state not in SETTLED:
        return True
    if attempt <= task.claim[0] and task.claim[1]:
        return False
    task.base = attempt - 1
    return True


def _task_started(_: RunDetail, dag: DagDetail, event: TaskStarted, record: Record) -> None:
    task = dag.task(event.task)
    claim = (event.attempt, event.execution)
    if not _is_open(task, event.attempt) or claim <= task.claim:
        return
    task.claim = claim
    dag.move(task, "running", record.at)
    attempt = _attempt(task, event.attempt)
    attempt.state, attempt.lost = "running", max(attempt.lost, event.lost)
    _lose(attempt, event.execution, record.at)
    attempt.executions[event.execution] = ExecutionDetail(
        number=event.execution, worker=event.worker, host=event.host, claimed=record.at
    )


def _lose(attempt: AttemptDetail, execution: int, at: float) -> None:
    """Those claims are lost that neither were given back nor had come to an outcome before this one was made."""
    for earlier in attempt.executions.values():
        if earlier.number < execution and earlier.state == "running":
            earlier.state, earlier.settled = "lost", at


def _task_released(_: RunDetail, dag: DagDetail, event: TaskReleased, record: Record) -> None:
    task = dag.task(event.task)
    claim = (event.attempt, event.execution)
    if not _is_open(task, event.attempt) or claim < task.claim or task.state == "ready":
        return
    task.claim = claim
    dag.move(task, "ready", record.at)
    attempt = _attempt(task, event.attempt)
    attempt.state, attempt.lost = "ready", max(attempt.lost, event.lost)
    execution = _execution(attempt, event.execution)
    execution.state, execution.settled = "released", record.at


def _task_ended(
    run: RunDetail, dag: DagDetail, event: TaskSucceeded | TaskFailed | TaskAborted, record: Record
) -> None:
    task = dag.task(event.task)
    claim = (event.attempt, event.execution)
    if not _is_open(task, event.attempt) or claim < task.claim:
        return
    task.claim = claim
    attempt = _attempt(task, event.attempt)
    match event:
        case TaskSucceeded(stopped=stopped):
            state = how = "succeeded"
            attempt.reason = stopped or ""
        case TaskAborted(reason=reason):
            state = how = "cancelled"
            attempt.reason = task.reason = reason
        case TaskFailed():
            how = "failed"
            state = _after_failure(run, dag, task, event)
            attempt.error, attempt.exit_code, attempt.output = event.error, event.exit_code, event.output
    attempt.state = how
    dag.move(task, state, record.at)
    _settle(attempt, event.execution, how, event.provenance, record.at)


def _after_failure(run: RunDetail, dag: DagDetail, task: TaskDetail, event: TaskFailed) -> str:
    """Whether another attempt follows, which does not depend on a stop: that one cancels it."""
    retry = run.retries.get((dag.name, task.id)) if run.retries else None
    if retry is None or pause_after(retry, event.attempt - task.base, event.error, seed=(dag.id, task.id)) is None:
        return "failed"
    task.claim = (event.attempt + 1, 0)
    return "retrying"


def _task_skipped(_: RunDetail, dag: DagDetail, event: TaskSkipped, record: Record) -> None:
    task = dag.task(event.task)
    is_open = task.state not in SETTLED or task.opening < dag.opening
    if event.opening >= dag.opening and is_open:
        dag.move(task, "skipped", record.at)


def _task_cancelled(_: RunDetail, dag: DagDetail, event: TaskCancelled, record: Record) -> None:
    task = dag.task(event.task)
    is_old = event.attempt < task.claim[0] if event.attempt else event.opening < dag.opening
    is_open = task.state not in SETTLED or event.attempt > task.claim[0] or task.opening < dag.opening
    if is_old or not is_open:
        return
    if event.attempt:  # it was dispatched, and is used up
        task.claim = max(task.claim, (event.attempt, 1))
        attempt = _attempt(task, event.attempt)
        attempt.state, attempt.reason = "cancelled", event.reason
        if event.provenance is not None and (execution := attempt.last) is not None:
            _settle(attempt, execution.number, "cancelled", event.provenance, record.at)
    task.reason = event.reason
    dag.move(task, "cancelled", record.at)


def _attempt(task: TaskDetail, number: int) -> AttemptDetail:
    found = task.attempts.get(number)
    if found is None:
        found = task.attempts[number] = AttemptDetail(number=number)
    return found


def _execution(attempt: AttemptDetail, number: int) -> ExecutionDetail:
    found = attempt.executions.get(number)
    if found is None:
        found = attempt.executions[number] = ExecutionDetail(number=number)
    return found


def _settle(attempt: AttemptDetail, number: int, state: str, who: Provenance, at: float) -> None:
    execution = _execution(attempt, number)
    execution.state, execution.settled = state, at
    execution.worker, execution.host = who.worker, who.host or execution.host
    if who.end:  # else nobody ran it
        execution.pid, execution.started, execution.ended = who.pid, who.start, who.end
        execution.peak_memory_bytes = who.peak_memory_bytes or None


_TAKERS: dict[type[Event], Callable[..., None]] = {
    RunStarted: _run_started,
    RunFinished: _run_finished,
    RunRetried: _run_retried,
    DagStarted: _dag_started,
    DagFinished: _dag_finished,
    OwnerChanged: _owner_changed,
    StopRequested: _stop_requested,
    DagReopened: _dag_reopened,
}

_TASK_TAKERS: dict[type[Event], Callable[..., None]] = {
    TaskStarted: _task_started,
    TaskReleased: _task_released,
    TaskSucceeded: _task_ended,
    TaskFailed: _task_ended,
    TaskAborted: _task_ended,
    TaskSkipped: _task_skipped,
    TaskCancelled: _task_cancelled,
}
