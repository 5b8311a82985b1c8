"""What a dag run wants next: events in, commands out.

Pure: the same events give the same answer, on any host, in any year. Events may come repeated, late, or in another
order than they were written in, as long as those of one task keep theirs: what the log says wins over what was derived.
The rules of skipping are Lightflow's.
"""

from collections.abc import Iterable

from nflow.core.commands import Cancel, Command, Dispatch, FinishDag, Record, StopRun, WakeLater
from nflow.core.dag_reopening import reopen, reopens, supply
from nflow.core.dag_state import SETTLED, DagRun, TaskState, check_invariants, input_of, missing_outputs, story
from nflow.core.events import (
    DagReopened,
    Event,
    OwnerChanged,
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
from nflow.core.ids import TaskId
from nflow.core.retry import pause_after
from nflow.core.spec import OnFailure
from nflow.core.unknown import UnknownEvent

__all__ = [
    "SETTLED",
    "DagRun",
    "TaskState",
    "apply",
    "begin",
    "check_invariants",
    "input_of",
    "missing_outputs",
    "outstanding",
    "story",
    "supply",
    "wake",
]

REASON_LENGTH = 200
"""Characters of an error that travel along as the reason of a stop; `TaskFailed` has all of it."""


def begin(run: DagRun) -> list[Command]:
    """Start a dag run that has no log yet: dispatch its roots. An empty dag ends at once."""
    return outstanding(run)


def apply(run: DagRun, event: Event) -> list[Command]:
    """Take `event` into the run; what must now be done about it.

    Raises:
        UnknownEvent: the event is of no known type, or of a task that the dag does not have.
    """
    was_settled = run.is_settled and not reopens(run, event)
    commands = _take(run, event)
    if run.is_settled and not was_settled:
        commands.append(_finish(run))
    return commands


def wake(run: DagRun, task: TaskId, attempt: int) -> list[Command]:
    """The pause before an attempt is over; what must now be done about it.

    The task is still between two attempts: only a claim shows that the next one has begun.
    """
    position = run.graph.index[task]
    is_due = run.states[position] is TaskState.RETRYING and run.claims[position] == (attempt, 0)
    is_due = is_due and run.open[position] == 0  # else what it needs is yet to be read; it is asked for again then
    return [_next_step(run, position)] if is_due and run.stopping is None else []


def outstanding(run: DagRun) -> list[Command]:
    """Everything that should be done and is not known to be done, for a driver that took over."""
    commands = _record(run.unseen.values())
    if run.cause is not None:
        commands.append(run.cause)
    for position, state in enumerate(run.states):
        # A task that was handed back before its predecessors' ends were read has its job already, and no input here.
        if state is TaskState.READY and (run.stopping is not None or run.open[position] == 0):
            commands.append(_next_step(run, position))
        elif state is TaskState.RETRYING:
            commands.append(_next_step(run, position) if run.stopping is not None else _wake_later(run, position))
    if run.is_settled:
        commands.append(_finish(run))
    return commands


def _take(run: DagRun, event: Event) -> list[Command]:
    match event:
        case TaskEvent(task=task) if task in run.graph.index:
            return _take_of_task(run, run.graph.index[task], event)
        case StopRequested(opening=opening) if run.is_settled or opening < run.opening:
            return []
        case StopRequested(reason=reason):
            run.stop = run.stop or event
            return _stop(run, reason)
        case DagReopened(number=number, redo=redo):
            return _begin_again(run, reopen(run, number, redo)) if reopens(run, event) else []
        case OwnerChanged():
            return []
        case _:
            raise UnknownEvent(event, story(run))


def _take_of_task(run: DagRun, position: int, event: TaskEvent) -> list[Command]:
    match event:
        case TaskStarted(attempt=attempt, execution=execution):
            return _started(run, position, (attempt, execution))
        case TaskReleased(attempt=attempt, execution=execution):
            return _released(run, position, (attempt, execution))
        case TaskSucceeded() | TaskFailed() | TaskAborted():
            return _ended(run, position, event)
        case TaskSkipped(opening=opening):
            return _recorded_as_skipped(run, position) if opening >= run.opening else []
        case TaskCancelled():
            return _recorded_as_cancelled(run, position, event)
        case _:
            raise UnknownEvent(event, story(run))


# --- begun again -----------------------------------------------------------------------------------------------------


def _begin_again(run: DagRun, again: Iterable[int]) -> list[Command]:
    """What follows for the tasks without an open predecessor: they become ready, or are skipped."""
    ready: list[int] = []
    skipped: list[int] = []
    for position in sorted(each for each in again if run.open[each] == 0):
        if run.graph.parents[position] and not _may_run(run, position):
            run.move(position, TaskState.SKIPPED, derived=_skip(run, position))
            skipped.append(position)
        else:
            run.move(position, TaskState.READY)
            ready.append(position)
    for position in tuple(skipped):
        more_ready, more_skipped = _woken_by(run, position)
        ready += more_ready
        skipped += more_skipped
    return [
        *_record(run.unseen[each] for each in sorted(skipped)),
        *(_next_step(run, each) for each in sorted(ready)),
    ]


# --- what the log says of one task -----------------------------------------------------------------------------------


def _is_open(run: DagRun, position: int) -> bool:
    """Whether claims and outcomes still count.

    Of what was derived, only a cancellation gives way to them: a skip follows from outcomes, and is the same in every
    order of the events.
    """
    state = run.states[position]
    return state not in SETTLED or (state is TaskState.CANCELLED and position in run.unseen)


def _started(run: DagRun, position: int, claim: tuple[int, int]) -> list[Command]:
    if _is_open(run, position) and claim > run.claims[position]:
        run.claims[position] = claim
        run.move(position, TaskState.RUNNING)
    return []


def _released(run: DagRun, position: int, claim: tuple[int, int]) -> list[Command]:
    known, is_running = run.claims[position], run.states[position] is TaskState.RUNNING
    if not _is_open(run, position) or claim < known or (claim == known and not is_running):
        return []
    run.claims[position] = claim
    run.move(position, TaskState.READY)
    return [_next_step(run, position)] if run.stopping is not None else []


def _ended(run: DagRun, position: int, event: TaskSucceeded | TaskFailed | TaskAborted) -> list[Command]:
    claim = (event.attempt, event.execution)
    if not _is_open(run, position) or claim < run.claims[position]:
        return []
    run.claims[position] = claim
    match event:
        case TaskSucceeded():
            return _succeeded(run, position, event)
        case TaskFailed():
            return _failed(run, position, event)
        case TaskAborted(reason=reason):
            run.move(position, TaskState.CANCELLED)
            reason = reason or f"task {event.task!r} aborted the run"
            return _stop(run, reason[:REASON_LENGTH], _cause(run, event, reason, Status.STOPPED))


def _failed(run: DagRun, position: int, event: TaskFailed) -> list[Command]:
    """An attempt failed. Whether another one follows does not depend on a stop, which may be read before or after."""
    task, error = run.spec.tasks[position], event.error
    attempt = event.attempt - run.bases.get(position, 0)
    pause = pause_after(task.retry, attempt, error, seed=(run.id, task.id))
    if pause is not None:
        run.claims[position] = (event.attempt + 1, 0)
        run.pauses[position] = pause
        run.move(position, TaskState.RETRYING)
        return [_next_step(run, position) if run.stopping is not None else _wake_later(run, position)]
    run.move(position, TaskState.FAILED)
    reason = f"task {event.task!r} failed"
    words = f"{reason}: {error.words}"
    if run.failure is None or position < run.failure[0]:  # as declared, for events may be read in another order
        run.failure = position, words[:REASON_LENGTH]
    match task.on_failure:
        case OnFailure.SKIP_SUCCESSORS:
            return _wake(run, position)
        case OnFailure.STOP_DAG:
            return _stop(run, reason)
    return _stop(run, reason, _cause(run, event, words, Status.FAILED))


def _succeeded(run: DagRun, position: int, event: TaskSucceeded) -> list[Command]:
    run.move(position, TaskState.SUCCEEDED)
    run.limits[position] = None if event.limit is None else frozenset(event.limit)
    if run.owed[position]:
        run.outputs[position] = event.output
    return _wake(run, position)


def _recorded_as_skipped(run: DagRun, position: int) -> list[Command]:
    match run.states[position]:
        case TaskState.SKIPPED:
            run.unseen.pop(position, None)
        case TaskState.WAITING:
            run.move(position, TaskState.SKIPPED)
            return _wake(run, position)
        case TaskState.CANCELLED if position in run.unseen:
            run.move(position, TaskState.SKIPPED)
            # Without open predecessors its successors were told already, by `_woken_by`.
            return _wake(run, position) if run.open[position] else []
    return []


def _recorded_as_cancelled(run: DagRun, position: int, event: TaskCancelled) -> list[Command]:
    attempt, _ = run.claims[position]
    is_old = event.attempt < attempt if event.attempt else event.opening < run.opening
    is_settled = run.states[position] in SETTLED and position not in run.unseen
    if is_old or (is_settled and run.states[position] is not TaskState.CANCELLED):
        return []
    if event.attempt:  # it was dispatched, and is used up, though another driver may have said before that it was not
        run.claims[position] = max(run.claims[position], (event.attempt, 1))
    if is_settled:
        return []
    run.move(position, TaskState.CANCELLED)
    return _stop(run, event.reason)  # nothing is cancelled but in a stop, even if what stopped the dag was not read yet


# --- what follows for the others -------------------------------------------------------------------------------------


def _wake(run: DagRun, position: int) -> list[Command]:
    """What follows for the successors of a task that is settled and stops nobody."""
    ready, skipped = _woken_by(run, position)
    return [*_record(run.unseen[each] for each in skipped), *(_follow(run, each) for each in ready)]


def _follow(run: DagRun, position: int) -> Command:
    is_between = run.states[position] is TaskState.RETRYING
    return _wake_later(run, position) if is_between else _next_step(run, position)


def _woken_by(run: DagRun, position: int) -> tuple[list[int], list[int]]:
    """Settle the skips that follow, all at once; the tasks that became ready and those that were skipped, as declared.

    In a stopping dag too: an earlier driver may have read the same events in another order, and have dispatched what
    is thought cancelled here. Unless that is on record, the task becomes ready, to be cancelled by a look at its claim.
    """
    ready: list[int] = []
    skipped: list[int] = []
    told = [position]
    for parent in told:  # grows as it goes
        _let_go(run, parent)
        for child in run.graph.children[parent]:
            run.open[child] -= 1
            state = run.states[child]
            if state is TaskState.RETRYING and not run.open[child] and run.stopping is None:
                ready.append(child)  # its last attempt, which an earlier driver had begun, was read before this
            if run.open[child] or state not in (TaskState.WAITING, TaskState.CANCELLED):
                continue
            if not _may_run(run, child):
                told.append(child)
                if state is TaskState.WAITING:
                    run.move(child, TaskState.SKIPPED, derived=_skip(run, child))
                    skipped.append(child)
            elif _is_open(run, child):
                run.move(child, TaskState.READY)
                ready.append(child)
    return sorted(ready), sorted(skipped)


def _may_run(run: DagRun, position: int) -> bool:
    """Whether a task with no open predecessor runs: if it is forced to, or if any predecessor lets it."""
    task = run.spec.tasks[position]
    return task.force_run or any(_lets_run(run, parent, task.name) for parent in run.graph.parents[position])


def _lets_run(run: DagRun, parent: int, name: str) -> bool:
    if run.states[parent] is TaskState.SUCCEEDED:
        limit = run.limits[parent]
        return limit is None or name in limit
    return run.states[parent] is not TaskState.FAILED and not run.spec.tasks[parent].propagate_skip


def _let_go(run: DagRun, position: int) -> None:
    """Forget the outputs that only this task could still ask for, now that it is settled."""
    for parent in run.graph.parents[position]:
        run.owed[parent] -= 1
        if run.owed[parent] == 0:
            run.outputs[parent] = None  # not its limits: a dag run that is reopened judges skips once more
            run.missing.discard(parent)


def _skip(run: DagRun, position: int) -> TaskSkipped:
    return TaskSkipped(task=run.spec.tasks[position].id, opening=run.opening)


def _stop(run: DagRun, reason: str, cause: StopRun | None = None) -> list[Command]:
    """Let nothing start any more: what waits is cancelled here and now, what is ready by a look at its claim."""
    tell = [] if cause is None else _blame(run, cause)
    if run.stopping is not None:
        return tell
    run.stopping = reason
    tasks = run.spec.tasks
    waiting = [position for position, state in enumerate(run.states) if state is TaskState.WAITING]
    for position in waiting:
        cancelled = TaskCancelled(task=tasks[position].id, reason=reason, opening=run.opening)
        run.move(position, TaskState.CANCELLED, derived=cancelled)
    ready = [position for position, state in enumerate(run.states) if state in (TaskState.READY, TaskState.RETRYING)]
    return [*_record(run.unseen[each] for each in waiting), *tell, *(_next_step(run, each) for each in ready)]


def _blame(run: DagRun, cause: StopRun) -> list[Command]:
    """Tell the workflow once, and once more when a failure follows an abort, for then the run has failed."""
    told = run.cause
    if told is not None and (told.status is Status.FAILED or cause.status is not Status.FAILED):
        return []
    run.cause = cause
    return [cause]


def _cause(run: DagRun, event: TaskEvent, reason: str, status: Status) -> StopRun:
    return StopRun(reason=reason[:REASON_LENGTH], by=f"{run.id}/{event.task}", status=status)


def _next_step(run: DagRun, position: int) -> Command:
    task, attempt = run.spec.tasks[position].id, run.claims[position][0]
    if run.stopping is not None:
        return Cancel(task=task, attempt=attempt, reason=run.stopping)
    return Dispatch(task=task, attempt=attempt)


def _wake_later(run: DagRun, position: int) -> WakeLater:
    task, (attempt, _) = run.spec.tasks[position].id, run.claims[position]
    return WakeLater(task=task, attempt=attempt, seconds=run.pauses[position])


def _record(events: Iterable[Event]) -> list[Command]:
    batch = tuple(events)
    return [Record(events=batch)] if batch else []


def _finish(run: DagRun) -> FinishDag:
    return FinishDag(
        status=run.status,
        succeeded=run.counts[TaskState.SUCCEEDED],
        failed=run.counts[TaskState.FAILED],
        skipped=run.counts[TaskState.SKIPPED],
        cancelled=run.counts[TaskState.CANCELLED],
        reason=run.failure[1] if run.failure is not None else "",
    )
