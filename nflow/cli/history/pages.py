"""A run, or a task of it, on a page for people."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nflow.cli.console.printable import printable
from nflow.cli.console.streams import say
from nflow.cli.console.times import Clock, duration
from nflow.cli.console.values import written
from nflow.cli.history.runs import STYLES
from nflow.history.questions import RunLine, Story
from nflow.view.detail import ENDED, AttemptDetail, DagDetail, ExecutionDetail, RunDetail, TaskDetail

#: Tasks of a dag run that are listed; those that need a look come first.
MOST_TASKS = 100

_STYLES = {**STYLES, "retrying": "yellow", "cancelled": "yellow", "skipped": "dim", "lost": "red", "released": "dim"}
_MB = 1024 * 1024
_LOOK = ("failed", "running", "retrying", "ready", "waiting", "cancelled", "skipped", "succeeded")


class Line(NamedTuple):
    """A line of a page: how far what it tells of is, and the rest."""

    text: str
    state: str = ""  #: chooses its colour, where there are colours


def print_run(story: Story, clock: Clock) -> None:
    """A run with its dag runs and their tasks."""
    _print(_run(story, clock))


def print_tasks(story: Story, clock: Clock) -> None:
    """Every attempt of the tasks that are in the story."""
    run = story.run
    head = [Line(f"{run.workflow or '?'}  {run.run}  {run.state}", run.state)]
    told = (
        line
        for dag in run.dags.values()
        for task in dag.tasks.values()
        for line in (Line(""), *_task_page(dag, task, clock))
    )
    _print([*head, *told])


def print_waiting(line: RunLine, clock: Clock) -> None:
    """A run that nobody has taken yet."""
    since = "" if line.submitted is None else f" since {clock.when(line.submitted)}"
    _print([Line(f"{line.workflow}  {line.run}  {line.state}"), Line(f"In queue '{line.queue}'{since}. {line.reason}")])


# --- a run -----------------------------------------------------------------------------------------------------------


def _run(story: Story, clock: Clock) -> Iterator[Line]:
    run = story.run
    reason = f": {run.reason}" if run.reason else ""
    yield Line(f"{run.workflow or '?'}  {run.run}  {run.state}{reason}", run.state)
    yield Line(f"  {_times(run, clock)}")
    by = f", stopped by {run.by}" if run.by else ""
    yield Line(f"  queue {run.queue}, driven by {run.worker or 'nobody'}{by}")
    yield Line(f"  nflow {run.engine}, code {run.spec[:12]}, from {run.directory}")
    if story.parameters:
        given = ", ".join(f"{name}={_short(value)}" for name, value in story.parameters.items())
        yield Line(f"  parameters: {given}")
    for retrial in run.retrials:
        yield Line(f"  retried {clock.when(retrial.at)} by {retrial.by}; it had {retrial.status}: {retrial.reason}")
    for note in run.notes:
        yield Line(f"  incomplete: {note.text}", "unknown")
    for dag in run.dags.values():
        yield Line("")
        yield from _dag(dag, clock, said=run.reason)
    if run.state == "failed":
        yield Line("")
        yield from _next_steps(run)


def _next_steps(run: RunDetail) -> Iterator[Line]:
    """What somebody does who sees that it failed."""
    tasks = (
        f"{dag.id}/{task.id}" for dag in run.dags.values() for task in dag.tasks.values() if task.state == "failed"
    )
    if (task := next(tasks, None)) is not None:
        yield Line(f"Its traceback and output: nflow show {run.run} {shlex.quote(task)}")
    yield Line(f"To go on, when its cause is mended: nflow retry {run.run}")


def _times(run: RunDetail, clock: Clock) -> str:
    told = [] if run.submitted is None else [f"submitted {clock.when(run.submitted)}"]
    if run.started is not None:
        told.append(f"started {clock.when(run.started)}")
        end = run.ended if run.ended is not None or run.state not in (*ENDED, "unknown") else run.started
        told.append(f"took {duration((end or clock.now) - run.started)}" if end != run.started else "")
    return ", ".join(filter(None, told)) or "nobody knows when it began"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else written(value)
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _dag(dag: DagDetail, clock: Clock, *, said: str) -> Iterator[Line]:
    counts = ", ".join(f"{count} {state}" for state, count in sorted((+dag.counts).items()))
    took = _took(dag.started, dag.ended if dag.state in ENDED else clock.now)
    marks = ["others took its place"] if dag.is_superseded else []
    marks += [dag.reason] if dag.reason not in ("", said) else []
    yield Line("  ".join(filter(None, [dag.id, dag.state, took, counts, *marks])), dag.state)
    tasks = sorted(dag.tasks.values(), key=lambda task: (_LOOK.index(task.state), _began(task)))
    shown = sorted(tasks[:MOST_TASKS], key=_began)
    width = max((len(task.id) for task in shown), default=0)
    yield from (_task_line(task, clock, width) for task in shown)
    if len(tasks) > len(shown):
        yield Line(f"  ... and {len(tasks) - len(shown)} more tasks: nflow show --json tells of all")


def _began(task: TaskDetail) -> float:
    claims = (each.claimed for attempt in task.attempts.values() for each in attempt.executions.values())
    return next((claimed for claimed in claims if claimed is not None), float("inf"))


def _task_line(task: TaskDetail, clock: Clock, width: int) -> Line:
    attempt = task.last
    execution = attempt.last if attempt is not None else None
    told = [f"  {task.id:<{width}}  {task.state:<9}"]
    if execution is not None:
        seconds = execution.seconds
        if seconds is None and execution.state == "running" and execution.claimed is not None:
            seconds = max(clock.now - execution.claimed, 0.0)
        told += ["" if seconds is None else duration(seconds), execution.host]
    if attempt is not None and attempt.number > 1:
        told.append(f"attempt {attempt.number}")
    if attempt is not None and attempt.error is not None and task.state in ("failed", "retrying"):
        told.append(attempt.error.words.partition("\n")[0])
    elif task.reason:
        told.append(task.reason.partition("\n")[0])
    return Line("  ".join(filter(None, told)), task.state)


def _took(begin: float | None, end: float | None) -> str:
    return "" if begin is None or end is None else duration(end - begin)


# --- a task ----------------------------------------------------------------------------------------------------------


def _task_page(dag: DagDetail, task: TaskDetail, clock: Clock) -> Iterator[Line]:
    reason = f": {task.reason}" if task.reason else ""
    yield Line(f"{dag.id}/{task.id}  {task.state}{reason}", task.state)
    for attempt in task.attempts.values():
        yield from _attempt(attempt, clock)


def _attempt(attempt: AttemptDetail, clock: Clock) -> Iterator[Line]:
    code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    reason = f": {attempt.reason}" if attempt.reason else ""
    yield Line(f"  attempt {attempt.number}  {attempt.state}{code}{reason}", attempt.state)
    for execution in attempt.executions.values():
        yield _execution(execution, clock)
    if (error := attempt.error) is not None:
        yield from _block(error.traceback if error.message in error.traceback and error.traceback else error.words)
        if error.hint:
            yield Line(f"    {error.hint}", "retrying")
    if attempt.output:
        yield Line("    The end of its output:")
        yield from _block("\n".join(attempt.output))


def _execution(execution: ExecutionDetail, clock: Clock) -> Line:
    told = [f"    {execution.state}", f"on {execution.host or '?'}", f"worker {execution.worker}"]
    told += [] if execution.pid is None else [f"process {execution.pid}"]
    told += [] if execution.claimed is None else [f"from {clock.when(execution.claimed)}"]
    told += [] if execution.seconds is None else [duration(execution.seconds)]
    if execution.peak_memory_bytes:
        told.append(f"{execution.peak_memory_bytes / _MB:.0f} MB at most")
    return Line(", ".join(told), execution.state)


def _block(text: str) -> Iterator[Line]:
    return (Line(f"    {line}") for line in text.rstrip().splitlines())


# --- onto the screen -------------------------------------------------------------------------------------------------


def _print(lines: Iterable[Line]) -> None:
    """As they are in a file or a pipe, with colours on a terminal."""
    clean = [Line(printable(line.text), line.state) for line in lines]
    if not sys.stdout.isatty():
        say("\n".join(line.text for line in clean))
        return
    from rich.console import Console  # noqa: PLC0415 - takes time to import, and only terminals need it
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for line in clean:
        console.print(Text(line.text, style=_STYLES.get(line.state, "")), soft_wrap=True)
