"""How a run ended, in words and as JSON. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

from nflow.cli.console.times import duration
from nflow.client.result import TaskFailure
from nflow.core.events import Status
from nflow.core.ids import RunId
from nflow.view.run import Failure, RunView

_STYLES = {Status.SUCCEEDED: "bold green", Status.FAILED: "bold red", Status.STOPPED: "bold yellow"}
_MARKS = {Status.SUCCEEDED: "✔", Status.FAILED: "✘", Status.STOPPED: "■"}


class Part(NamedTuple):
    """A piece of text and how it looks where there are colours."""

    text: str
    style: str = ""


def summary(name: str, run: RunId, view: RunView, *, with_output: bool = False) -> Iterator[Part]:
    """How the run of workflow `name` ended: its failures with their tracebacks, then one line.

    `with_output` is for where nothing was shown of what the tasks wrote: those that failed then tell the end of it.
    """
    assert view.finished is not None, "it goes on"
    yield from failures(run, view, with_output=with_output)
    status, reason = view.finished.status, view.finished.reason
    yield Part(f"{_MARKS[status]} {name} {status}", _STYLES[status])
    yield Part(f" in {duration(view.seconds)}")
    if reason and status is not Status.SUCCEEDED:
        yield Part(f": {reason.splitlines()[0]}")
    for text in stopped_dags(view):
        yield Part(f"; {text}", "yellow")
    yield Part(f"  ({', '.join([*_counted(view), f'run {run}'])})\n", "dim")


def stopped_dags(view: RunView) -> list[str]:
    """The dags that were stopped while the run went on, and by whom."""
    return [f"{dag} was stopped by {by}" for dag, by in view.stopped_dags.items()]


def failures(run: RunId, view: RunView, *, with_output: bool) -> Iterator[Part]:
    """The tasks that failed for good: why, where, and what can be done about it."""
    for failure in view.failures:
        yield from _failure(failure, with_output=with_output)
    unshown = view.counts["failed"] - len(view.failures)
    if view.failures and unshown > 0:
        yield Part(f"... and {unshown} more failed. All of them: nflow show {run}\n", "red")


def as_json(name: str, run: RunId, view: RunView) -> dict[str, object]:
    """The same for programs. A run that was left before its end is `running`."""
    return {
        "run": run,
        "workflow": name,
        "status": view.finished.status.value if view.finished else "running",
        "reason": view.finished.reason if view.finished else "",
        **tasks_as_json(view),
    }


def tasks_as_json(view: RunView) -> dict[str, object]:
    """How long the run took, how its tasks ended, and why those that failed did."""
    return {
        "seconds": round(view.seconds, 6) if view.finished else None,
        "tasks": dict(view.counts),
        "retrying": view.retrying,
        "stopped_dags": dict(view.stopped_dags),
        "failures": [asdict(TaskFailure.of(failure)) for failure in view.failures],
    }


def _failure(failure: Failure, *, with_output: bool) -> Iterator[Part]:
    event = failure.event
    error, who = event.error, event.provenance
    attempt = f"attempt {event.attempt}, " if event.attempt > 1 else ""
    yield Part(f"{failure.dag}/{event.task} failed on {who.host} ({attempt}worker {who.worker}):\n", "red")
    if error.traceback:
        yield Part(f"{error.traceback.rstrip()}\n")
    if error.message not in error.traceback or not error.traceback:
        yield Part(f"{error.words}\n")
    if error.hint:
        yield Part(f"{error.hint}\n", "yellow")
    if with_output and event.output:
        yield Part("The end of its output:\n", "dim")
        yield from (Part(f"  {line}\n") for line in event.output)


def _counted(view: RunView) -> list[str]:
    counts = view.counts
    order = ("succeeded", "failed", "skipped", "cancelled")
    return [f"{counts[state]} {state}" for state in order if counts[state]] or ["no tasks"]
