"""What is to be known of one task or dag run, line by line. Pure."""

from collections.abc import Iterator, Sequence

from nflow.top.cells import STATE_STYLES, Cell
from nflow.top.times import clock, lasted, size
from nflow.top.tree import Leaf
from nflow.view.detail import AttemptDetail, DagDetail, ExecutionDetail, RunDetail, TaskDetail
from nflow.wire.lines import Line

_LEVELS = {"WARNING": "warn", "ERROR": "bad", "CRITICAL": "bad"}

Text = list[Cell]


def card(detail: RunDetail, leaf: Leaf, lines: Sequence[Line], now: float) -> list[Text]:
    """All that is known of what a line of the tree stands for.

    Args:
        detail: The run.
        leaf: The line.
        lines: The last ones that the task wrote.
        now: The time by the server's clock.
    """
    dag = detail.dags.get(leaf.dag)
    if dag is None:
        return []
    if leaf.task is None:
        return list(_of_dag(dag, leaf, now))
    task = dag.tasks.get(leaf.task) or TaskDetail(id=leaf.task)
    return [*_of_task(task, leaf, now), *_output(task, lines)]


def _of_dag(dag: DagDetail, leaf: Leaf, now: float) -> Iterator[Text]:
    yield [Cell(f"{dag.id}  ", "bold"), Cell(dag.state, STATE_STYLES.get(dag.state, ""))]
    if dag.started is not None:
        yield [Cell(f"driven by {dag.worker}, {lasted((dag.ended or now) - dag.started)} from {clock(dag.started)}")]
    yield [Cell(f"{leaf.done} of {leaf.total} tasks have ended: {_counted(dag)}")]
    if leaf.remark:
        yield [Cell(leaf.remark, STATE_STYLES.get(dag.state, ""))]


def _of_task(task: TaskDetail, leaf: Leaf, now: float) -> Iterator[Text]:
    yield [Cell(f"{leaf.place}  ", "bold"), Cell(leaf.state, STATE_STYLES.get(leaf.state, ""))]
    if leaf.remark and leaf.state not in ("failed", "retrying"):
        yield [Cell(leaf.remark, "bad" if leaf.needs_person else "")]
    if task.last is not None and task.last.error is not None and leaf.state in ("failed", "retrying"):
        yield from ([Cell(line, "bad")] for line in task.last.error.words.splitlines())
    for attempt in reversed(task.attempts.values()):
        yield from _of_attempt(attempt, now)


def _of_attempt(attempt: AttemptDetail, now: float) -> Iterator[Text]:
    for execution in reversed(attempt.executions.values()):
        yield [
            Cell(f"attempt {attempt.number} ", "bold"),
            Cell(f"{execution.state} ", STATE_STYLES.get(execution.state, "")),
            Cell(_where(execution, now)),
        ]
    if attempt.lost:
        yield [Cell(f"{attempt.lost} executions were lost with their workers", "warn")]
    if attempt.reason:
        yield [Cell(attempt.reason)]
    error = attempt.error
    if error is not None:
        told = error.traceback.rstrip().splitlines()
        yield from ([Cell(line)] for line in told)
        if not told or error.message not in error.traceback:
            yield from ([Cell(line)] for line in error.words.splitlines())
        if error.hint:
            yield from ([Cell(line, "warn")] for line in error.hint.splitlines())


def _where(execution: ExecutionDetail, now: float) -> str:
    """Where and when it ran, and what it took."""
    told = [f"on {execution.host or '?'}, worker {execution.worker}"]
    if execution.pid:
        told.append(f"process {execution.pid}")
    began = execution.started or execution.claimed
    if began is not None:
        ended = execution.ended or execution.settled or now
        told.append(f"{lasted(ended - began)} from {clock(began)}")
    if execution.peak_memory_bytes:
        told.append(f"{size(execution.peak_memory_bytes)} at most")
    return ", ".join(told)


def _output(task: TaskDetail, lines: Sequence[Line]) -> Iterator[Text]:
    """What it wrote; of a failure whose lines are gone, those that came with it."""
    last = task.last
    if lines:
        yield [Cell("output", "title")]
        yield from (_line(line) for line in lines)
    elif last is not None and last.output:
        yield [Cell("the end of its output", "title")]
        yield from ([Cell(text)] for text in last.output)


def _line(line: Line) -> Text:
    style = "warn" if line.stream == "err" else _LEVELS.get(line.level, "dim" if line.stream == "log" else "")
    source = f"{line.level} {line.logger}: " if line.stream == "log" else ""
    return [Cell(f"{clock(line.at)} ", "dim"), Cell(f"{source}{line.text}", style)]


def _counted(dag: DagDetail) -> str:
    return ", ".join(f"{count} {state}" for state, count in dag.counts.items() if count) or "none began"
