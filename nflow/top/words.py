"""What happened, in few words for a line of the monitor. Pure."""

from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagStarted,
    Event,
    RunFinished,
    RunRetried,
    RunStarted,
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
from nflow.top.cells import Cell
from nflow.top.model import News
from nflow.wire.subjects import event_place, name_of


def told(news: News) -> Cell:
    """One thing that happened, with its place in the run."""
    event, place = news.event, event_place(news.record.subject)
    dag = "" if place.dag == "_" else f"{name_of(place.dag) or place.dag}"
    if isinstance(event, TaskEvent):
        what = _of_task(event)
        return Cell(f"{dag}/{event.task} {what.text}", what.style)
    what = _of_run(event)
    return Cell(f"{dag} {what.text}".strip(), what.style)


def _of_task(event: TaskEvent) -> Cell:
    cell = Cell(type(event).__name__)
    match event:
        case TaskStarted(attempt=attempt, host=host):
            cell = Cell(f"started{_attempt(attempt)} on {host}", "busy")
        case TaskSucceeded(provenance=who):
            cell = Cell(f"succeeded in {max(who.end - who.start, 0.0):.1f} s", "good")
        case TaskFailed(attempt=attempt, error=error, provenance=who):
            cell = Cell(f"failed{_attempt(attempt)} on {who.host}: {error.words}", "bad")
        case TaskAborted(reason=reason):
            cell = Cell(f"aborted the run: {reason}", "warn")
        case TaskCancelled(reason=reason):
            cell = Cell(f"cancelled: {reason}", "warn")
        case TaskSkipped():
            cell = Cell("skipped", "dim")
        case TaskReleased():
            cell = Cell("handed back", "dim")
    return cell


def _of_run(event: Event) -> Cell:
    cell = Cell(type(event).__name__)
    match event:
        case RunStarted(workflow=workflow):
            cell = Cell(f"{workflow} started", "busy")
        case RunFinished(status=status, reason=reason):
            cell = Cell(f"run {status.value}{_because(reason)}", _END_STYLES[status.value])
        case RunRetried(number=number, by=by):
            cell = Cell(f"retried by {by}, for the {number}. time", "busy")
        case DagStarted(dag=dag):
            cell = Cell(f"{dag} started", "busy")
        case DagFinished(dag=dag, status=status):
            cell = Cell(f"{dag} {status.value}", _END_STYLES[status.value])
        case DagRefused(reason=reason):
            cell = Cell(f"a dag was refused: {reason}", "bad")
        case DagReopened():
            cell = Cell("open again", "busy")
        case StopRequested(reason=reason, dag=dag):
            cell = Cell(f"stop {f'of {dag} ' if dag else ''}asked for: {reason}", "warn")
    return cell


_END_STYLES = {"succeeded": "good", "failed": "bad", "stopped": "warn"}


def _attempt(number: int) -> str:
    return f" (attempt {number})" if number > 1 else ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
