"""The slow, obvious truth about runs: everything is worked out again from the events that were seen, each time.

Written from the rules alone, to be compared with the machines of `nflow.core`; it keeps no state and cuts no corners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagRequested,
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
from nflow.core.ids import DagId, TaskId
from nflow.core.retry import WORKER_LOST
from nflow.core.spec import DagSpec, OnFailure, TaskSpec, WorkflowSpec

# --- a dag run -------------------------------------------------------------------------------------------------------

OUTCOMES = {TaskSucceeded: "succeeded", TaskFailed: "failed", TaskAborted: "cancelled"}
ENDS = {"succeeded", "failed", "skipped", "cancelled"}


def own_words(seen: Sequence[Event], task: TaskId, attempts: int = 1) -> tuple[str | None, TaskEvent | None]:
    """What the log itself says of a task that is tried so often, and the outcome that counts."""
    says: str | None = None
    newest = (0, 0)
    for event in seen:
        if not isinstance(event, TaskEvent) or event.task != task:
            continue
        match event:
            case TaskSkipped():
                return "skipped", event
            case TaskCancelled():
                return "cancelled", event
        claim = (event.attempt, event.execution)
        if claim < newest or (claim == newest and isinstance(event, TaskStarted)):
            continue
        newest = claim
        match event:
            case TaskStarted():
                says = "running"
            case TaskReleased():
                says = "ready"
            case TaskFailed(attempt=attempt, error=error) if attempt < attempts and error.type != WORKER_LOST:
                newest, says = (attempt + 1, 0), "retrying"
            case _:
                return OUTCOMES[type(event)], event
    return says, None


def attempts_of(task: TaskSpec) -> int:
    return 1 if task.retry is None else task.retry.attempts


def words_of(seen: Sequence[Event], task: TaskSpec) -> tuple[str | None, TaskEvent | None]:
    return own_words(seen, task.id, attempts_of(task))


def lets(parent: TaskSpec, passed: str, outcome: TaskEvent | None, child: TaskSpec) -> bool:
    if passed == "failed":
        return False
    if passed == "skipped":
        return not parent.propagate_skip
    assert isinstance(outcome, TaskSucceeded)
    return outcome.limit is None or child.name in outcome.limit


def unstopped(spec: DagSpec, seen: Sequence[Event]) -> dict[TaskId, str]:
    """How far each task would be if nobody had stopped anything: a fixpoint of the rules of skipping."""
    words = {task.id: words_of(seen, task) for task in spec.tasks}
    tasks = {task.id: task for task in spec.tasks}
    states: dict[TaskId, str] = {}
    before: dict[TaskId, str] | None = None
    while states != before:
        before = dict(states)
        for task in spec.tasks:
            says, outcome = words[task.id]
            if says is not None and not isinstance(outcome, TaskCancelled):
                states[task.id] = says
                continue
            parents = list(dict.fromkeys(edge.parent for edge in spec.edges if edge.child == task.id))
            if any(not has_passed(tasks[parent], before.get(parent)) for parent in parents):
                states[task.id] = "waiting"
            elif (
                not parents
                or task.force_run
                or any(lets(tasks[parent], before[parent], words[parent][1], task) for parent in parents)
            ):
                states[task.id] = "ready"
            else:
                states[task.id] = "skipped"
    return states


def has_passed(task: TaskSpec, state: str | None) -> bool:
    """Whether its successors need not wait for it any more."""
    return state in ("succeeded", "skipped") or (state == "failed" and task.on_failure is OnFailure.SKIP_SUCCESSORS)


def picture(spec: DagSpec, seen: Sequence[Event]) -> dict[TaskId, str]:
    """How far each task is."""
    would = unstopped(spec, seen)
    says = {task.id: words_of(seen, task)[0] for task in spec.tasks}
    cut = stopped_at(spec, seen)
    if cut is None:
        return would
    at_the_stop = unstopped(spec, seen[:cut])
    states: dict[TaskId, str] = {}
    for task, state in would.items():
        said = says[task]
        if said is not None:
            states[task] = said
        elif state == "skipped" and at_the_stop[task] == "skipped":
            states[task] = "skipped"
        else:
            states[task] = "ready" if state == "ready" else "cancelled"
    return states


def stopped_at(spec: DagSpec, seen: Sequence[Event]) -> int | None:
    """The position of the event that stopped the dag."""
    tasks = {task.id: task for task in spec.tasks}
    for position, event in enumerate(seen):
        match event:
            case TaskFailed(task=task) if tasks[task].on_failure is OnFailure.SKIP_SUCCESSORS:
                pass
            case TaskFailed(task=task) | TaskAborted(task=task) | TaskCancelled(task=task):
                if words_of(seen[: position + 1], tasks[task])[1] is event:
                    return position
            case StopRequested():
                if set(unstopped(spec, seen[:position]).values()) - ENDS:
                    return position
    return None


def current(spec: DagSpec, seen: Sequence[Event]) -> list[Event]:
    """The history that a dag run has as if it had never been reopened: what does not count any more is left out.

    Attempts count from the reopening, as the policies of retrying do.
    """
    number, bases = 0, dict.fromkeys((task.id for task in spec.tasks), 0)
    history: list[Event] = []
    for event in seen:
        match event:
            case DagReopened() if event.number > number:
                number = event.number
                history = reopened(spec, history, event, bases)
            case DagReopened():
                pass
            case StopRequested(opening=opening) if opening < number:
                pass
            case TaskSkipped(opening=opening) | TaskCancelled(attempt=0, opening=opening) if opening < number:
                pass
            case TaskSkipped() | TaskCancelled(attempt=0):
                history.append(event)
            case TaskEvent() if event.attempt > bases[event.task]:
                history.append(replace(event, attempt=event.attempt - bases[event.task]))
            case TaskEvent():
                pass
            case _:
                history.append(event)
    return history


def reopened(spec: DagSpec, history: Sequence[Event], event: DagReopened, bases: dict[TaskId, int]) -> list[Event]:
    """What stays of a history; `bases` go up by the attempts that were made."""
    states = picture(spec, history)
    parents = {task.id: [edge.parent for edge in spec.edges if edge.child == task.id] for task in spec.tasks}
    redone = set(event.redo)
    for _ in spec.tasks:
        redone |= {task for task in parents if redone.intersection(parents[task])}
    again = {task for task, state in states.items() if state in ("failed", "cancelled")} | redone & settled(states)
    for _ in spec.tasks:
        doubtful = {task for task in parents if states[task] == "skipped" and not kept(parents[task], states, again)}
        again |= doubtful
    for task in again:
        bases[task] += max((each.attempt for each in history if is_attempt(each) and each.task == task), default=0)
    skips: list[Event] = [TaskSkipped(task=task) for task in states if states[task] == "skipped" and task not in again]
    return skips + [each for each in history if isinstance(each, TaskEvent) and each.task not in again]


def settled(states: Mapping[TaskId, str]) -> set[TaskId]:
    return {task for task, state in states.items() if state in ENDS}


def kept(tasks: Sequence[TaskId], states: Mapping[TaskId, str], again: set[TaskId]) -> bool:
    return settled(states) - again >= set(tasks)


def is_attempt(event: Event) -> bool:
    return isinstance(event, TaskEvent) and not isinstance(event, TaskSkipped)


def dag_status(spec: DagSpec, seen: Sequence[Event]) -> Status:
    if "failed" in picture(spec, seen).values():
        return Status.FAILED
    return Status.SUCCEEDED if stopped_at(spec, seen) is None else Status.STOPPED


# --- a workflow run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overview:
    """What is to be known of a workflow run."""

    state: str
    running: set[str]  #: keys of the requests whose dag runs, or should
    refused: set[str]
    status: Status  #: how it ends, if it ends now


def current_run(seen: Sequence[Event]) -> list[Event]:
    """The history that a run has as if it had never been reopened: what does not count any more is left out."""
    number = 0
    openings: dict[DagId, int] = {}
    superseded: set[DagId] = set()
    history: list[Event] = []
    for event in seen:
        match event:
            case RunRetried() if event.number > number:
                superseded |= set(event.superseded)
                number = event.number
                openings |= dict.fromkeys(event.dags, number)
                history = still_true(history, event, superseded)
            case RunRetried():
                pass
            case RunFinished(opening=opening) | DagRefused(opening=opening) if opening < number:
                pass
            case DagFinished(dag=dag, opening=opening) if opening < openings.get(dag, 0) or dag in superseded:
                pass
            case _:
                history.append(event)
    return history


def still_true(history: Sequence[Event], event: RunRetried, superseded: set[DagId]) -> list[Event]:
    granted = {each.key for each in history if isinstance(each, DagStarted)}
    kept: list[Event] = []
    for each in history:
        match each:
            case RunFinished() | StopRequested() | DagRefused():
                pass
            case DagFinished(dag=dag) if dag in event.dags:
                pass
            case DagFinished(dag=dag) if dag in superseded:
                kept.append(replace(each, status=Status.SUCCEEDED))
            case DagRequested(key=key) if key not in granted:
                pass
            case _:
                kept.append(each)
    return kept


def overview(spec: WorkflowSpec, seen: Sequence[Event], promised: Mapping[str, DagId]) -> Overview:
    """`promised` are the running names that the driver is about to put on record."""
    whole_stop = first(seen, StopRequested, dag=None)
    finished = first(seen, RunFinished)
    answers: dict[str, bool] = {}
    for position, event in enumerate(seen):
        before = seen[:position]
        is_ending = first(before, StopRequested, dag=None) is not None or first(before, RunFinished) is not None
        if isinstance(event, DagRequested):
            answers.setdefault(event.key, event.dag in spec.dags and not is_ending)
        if isinstance(event, RunStarted) and not is_ending:
            answers |= {f"autostart/{name}": True for name, dag in spec.dags.items() if dag.autostart}
    answers |= {event.key: False for event in seen if isinstance(event, DagRefused)}
    names = {event.key: event.dag for event in seen if isinstance(event, DagStarted)}
    answers |= dict.fromkeys(names, True)
    ended = {event.dag for event in seen if isinstance(event, DagFinished)}
    return Overview(
        state=run_state(finished, whole_stop, first(seen, RunStarted)),
        running={key for key, can in answers.items() if can and {**promised, **names}.get(key) not in ended},
        refused={key for key, can in answers.items() if not can},
        status=run_status(seen, whole_stop),
    )


E = TypeVar("E", bound=Event)


def first(seen: Sequence[Event], kind: type[E], **having: object) -> E | None:
    return next(
        (
            event
            for event in seen
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in having.items())
        ),
        None,
    )


def run_state(finished: RunFinished | None, stop: StopRequested | None, started: RunStarted | None) -> str:
    if finished is not None:
        return finished.status.value
    if stop is not None:
        return "stopping"
    return "waiting" if started is None else "running"


def run_status(seen: Sequence[Event], stop: StopRequested | None) -> Status:
    ends = [event.status for event in seen if isinstance(event, DagFinished)]
    if Status.FAILED in ends or (stop is not None and stop.status is Status.FAILED):
        return Status.FAILED
    return Status.SUCCEEDED if stop is None else Status.STOPPED
