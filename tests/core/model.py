"""The slow, obvious truth about runs: everything is worked out again from the events that were seen, each time.

Written from the rules alone, to be compared with the machines of `nflow.core`; it keeps no state and takes no short cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagRequested,
    DagStarted,
    Event,
    RunFinished,
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
from nflow.core.spec import DagSpec, TaskSpec, WorkflowSpec

# --- a dag run -------------------------------------------------------------------------------------------------------

ENDS = {"succeeded", "failed", "skipped", "cancelled"}


def own_words(seen: Sequence[Event], task: str) -> tuple[str | None, TaskEvent | None]:
    """What the log itself says of a task, and the outcome that counts."""
    says: str | None = None
    outcome: TaskEvent | None = None
    newest = (0, 0)
    for event in seen:
        if not isinstance(event, TaskEvent) or event.task != task or outcome is not None:
            continue
        match event:
            case TaskSkipped():
                says, outcome = "skipped", event
            case TaskCancelled():
                says, outcome = "cancelled", event
            case TaskStarted() if (event.attempt, event.execution) > newest:
                newest, says = (event.attempt, event.execution), "running"
            case TaskReleased() if (event.attempt, event.execution) >= newest:
                newest, says = (event.attempt, event.execution), "ready"
            case TaskSucceeded() if (event.attempt, event.execution) >= newest:
                says, outcome = "succeeded", event
            case TaskFailed() if (event.attempt, event.execution) >= newest:
                says, outcome = "failed", event
            case TaskAborted() if (event.attempt, event.execution) >= newest:
                says, outcome = "cancelled", event
    return says, outcome


def lets(parent: TaskSpec, passed: str, outcome: TaskEvent | None, child: TaskSpec) -> bool:
    if passed == "skipped":
        return not parent.propagate_skip
    assert isinstance(outcome, TaskSucceeded)
    return outcome.limit is None or child.name in outcome.limit


def unstopped(spec: DagSpec, seen: Sequence[Event]) -> dict[str, str]:
    """How far each task would be if nobody had stopped anything: a fixpoint of the rules of skipping."""
    words = {task.id: own_words(seen, task.id) for task in spec.tasks}
    tasks = {task.id: task for task in spec.tasks}
    states: dict[str, str] = {}
    before: dict[str, str] | None = None
    while states != before:
        before = dict(states)
        for task in spec.tasks:
            says, outcome = words[task.id]
            if says is not None and not isinstance(outcome, TaskCancelled):
                states[task.id] = says
                continue
            parents = list(dict.fromkeys(edge.parent for edge in spec.edges if edge.child == task.id))
            if any(before.get(parent) not in ("succeeded", "skipped") for parent in parents):
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


def picture(spec: DagSpec, seen: Sequence[Event]) -> dict[str, str]:
    """How far each task is."""
    would = unstopped(spec, seen)
    says = {task.id: own_words(seen, task.id)[0] for task in spec.tasks}
    cut = stopped_at(spec, seen)
    if cut is None:
        return would
    at_the_stop = picture(spec, seen[:cut])
    states: dict[str, str] = {}
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
    for position, event in enumerate(seen):
        match event:
            case TaskFailed(task=task) | TaskAborted(task=task) | TaskCancelled(task=task):
                if own_words(seen[: position + 1], task)[1] is event:
                    return position
            case StopRequested():
                if set(picture(spec, seen[:position]).values()) - ENDS:
                    return position
    return None


def dag_status(spec: DagSpec, seen: Sequence[Event]) -> Status:
    if "failed" in picture(spec, seen).values():
        return Status.FAILED
    return Status.SUCCEEDED if stopped_at(spec, seen) is None else Status.STOPPED


# --- a workflow run --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overview:
    """What is to be known of a workflow run."""

    state: str
    running: set[str]  #: keys of requests whose dag should run or does
    refused: set[str]
    names: dict[str, str]  #: key → running name, as the log says
    is_due: bool
    status: Status  #: how it ends, if it ends now


def overview(spec: WorkflowSpec, seen: Sequence[Event]) -> Overview:
    finished = next((event for event in seen if isinstance(event, RunFinished)), None)
    if finished is not None:
        after = [event for event in seen[seen.index(finished) :] if isinstance(event, DagRequested)]
        seen = [*seen[: seen.index(finished)], *after]
    stop = next((event for event in seen if isinstance(event, StopRequested) and event.dag is None), None)
    stopped_at = len(seen) if stop is None else seen.index(stop)
    asked: dict[str, bool] = {}  # key → whether it can be granted, as far as the log does not say
    for position, event in enumerate(seen):
        if isinstance(event, DagRequested):
            asked.setdefault(event.key, event.dag in spec.dags and position < stopped_at and finished is None)
        if isinstance(event, RunStarted) and position < stopped_at:
            for name, dag in spec.dags.items():
                if dag.autostart:
                    asked.setdefault(f"autostart/{name}", True)
    names = {event.key: event.dag for event in seen if isinstance(event, DagStarted)}
    refusals = {event.key for event in seen if isinstance(event, DagRefused)}
    granted = {key for key, can in asked.items() if can and key not in refusals} | set(names)
    ended = {event.dag: event.status for event in reversed(seen) if isinstance(event, DagFinished)}
    failed = Status.FAILED in ended.values() or (stop is not None and stop.status is Status.FAILED)
    status = Status.FAILED if failed else Status.SUCCEEDED if stop is None else Status.STOPPED
    is_started = any(isinstance(event, RunStarted) for event in seen)
    running = {key for key in granted if names.get(key) not in ended}
    return Overview(
        state=finished.status.value
        if finished is not None
        else "stopping"
        if stop is not None
        else "running"
        if is_started
        else "waiting",
        running=running,
        refused=({key for key, can in asked.items() if not can} | refusals) - granted,
        names=dict(names),
        is_due=is_started and finished is None and not running,
        status=status,
    )
