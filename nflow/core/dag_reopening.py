"""A dag run that has ended and is reopened: which outcomes still count, and what follows for all the counts.

Pure, as `dag_run` is, which decides what is to be done then.
"""

from collections.abc import Iterable, Set

from nflow.core.dag_state import SETTLED, DagRun, TaskState
from nflow.core.events import DagReopened, Event, TaskSucceeded
from nflow.core.ids import TaskId


def supply(run: DagRun, event: TaskSucceeded) -> None:
    """Take the output of a task that succeeded before, which is needed once more."""
    position = run.graph.index[event.task]
    if position in run.missing and event.attempt == run.claims[position][0]:
        run.missing.discard(position)
        run.outputs[position] = event.output


def reopens(run: DagRun, event: Event) -> bool:
    """Whether `event` begins the dag run again, and not for the second time."""
    return isinstance(event, DagReopened) and event.number > run.opening


def reopen(run: DagRun, number: int, redo: Iterable[TaskId]) -> set[int]:
    """Forget the outcomes of whatever did not succeed, and of `redo` with all that follows from it.

    Returns:
        The positions of the tasks that begin again. They all wait, even those that need not.
    """
    run.opening = number
    run.stop = run.stopping = run.cause = run.failure = None
    redone = _redone(run, redo)
    run.renewed.update(dict.fromkeys(redone, number))
    again = _again(run, redone)
    for position in again:
        _forget_outcome(run, position)
    _count_anew(run)
    return again


def _redone(run: DagRun, redo: Iterable[TaskId]) -> set[int]:
    """Positions of these tasks and of all that follow them."""
    redone = {run.graph.index[task] for task in redo if task in run.graph.index}
    return set(run.graph.descendants(redone)) if redone else redone


def _again(run: DagRun, redone: Set[int]) -> set[int]:
    """Positions of the settled tasks whose outcomes do not count any more."""
    parents, states = run.graph.parents, run.states
    again = {position for position, state in enumerate(states) if state in (TaskState.FAILED, TaskState.CANCELLED)}
    for position in run.graph.order():
        # A skip follows from all predecessors, and is judged again when one of them is not what it was.
        is_in_doubt = states[position] is TaskState.SKIPPED and any(
            parent in again or states[parent] not in SETTLED for parent in parents[position]
        )
        if states[position] in SETTLED and (position in redone or is_in_doubt):
            again.add(position)
    return again


def _forget_outcome(run: DagRun, position: int) -> None:
    """Let the next attempt be the first one of the task. Numbers go on: each attempt has a job of its own."""
    before = run.bases.get(position, 0)
    is_unused = run.claims[position] == (before + 1, 0) and run.states[position] is not TaskState.FAILED
    run.bases[position] = before if is_unused else run.claims[position][0]
    run.claims[position] = (run.bases[position] + 1, 0)
    run.outputs[position] = run.limits[position] = None
    run.pauses.pop(position, None)
    run.move(position, TaskState.WAITING)


def _count_anew(run: DagRun) -> None:
    """Work out anew what hangs on which tasks are settled."""
    settled = [state in SETTLED for state in run.states]
    for position, (parents, children) in enumerate(zip(run.graph.parents, run.graph.children, strict=True)):
        run.open[position] = sum(not settled[parent] for parent in parents)
        run.owed[position] = sum(not settled[child] for child in children)
        if run.owed[position] == 0:
            run.outputs[position] = None
    succeeded = (position for position, state in enumerate(run.states) if state is TaskState.SUCCEEDED)
    run.missing = {each for each in succeeded if run.owed[each] and run.outputs[each] is None}
