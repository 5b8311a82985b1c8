"""`nflow runs`: which runs there were, and which there are."""

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, SinceOption, UtcOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table
from nflow.cli.console.times import Clock, duration, moment
from nflow.cli.history.asking import asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nflow.history.questions import RunLine

STYLES = {
    "succeeded": "green",
    "failed": "red",
    "stopped": "yellow",
    "stopping": "yellow",
    "running": "cyan",
    "unknown": "magenta",
}

#: The states of tasks that a line has room for, in short.
_TOLD = {"succeeded": "ok", "running": "running", "retrying": "retrying", "failed": "failed"}


class State(StrEnum):
    """How far a run is."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


_STATES = ", ".join(State)


def runs(
    status: Annotated[
        list[State] | None,
        typer.Option("--status", help=f"Only runs in this state, or these: {_STATES}.", metavar="STATE"),
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only runs of it.", metavar="NAME")] = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="The newest so many; 0 for all.", min=0)] = 50,
    utc: UtcOption = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """List runs, the newest first: those that go on and, from the history, those that have ended.

    [dim]Example:[/dim]  nflow runs --status failed --since 7d
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on

    async def work() -> "tuple[list[RunLine], float]":
        async with asking(settings) as asked:
            begin = None if since is None else moment(since, asked.now)
            states = [state.value for state in status or ()]
            most = limit + len(asked.waiting) if limit else None
            found = asked.questions.runs(states=states, workflow=workflow, since=begin, limit=most)
            every = asked.lines(found)
            return [line for line in every if _matches(line, states, workflow, begin)][: limit or None], asked.now

    lines, now = loop.run(work())
    if as_json:
        print_json(list(map(asdict, lines)))
    elif lines:
        _show(lines, Clock(now=now, utc=utc))
    else:
        say("No such runs." if status or workflow or since else "No runs yet. Start one: nflow run sequence")


def _matches(line: "RunLine", states: list[str], workflow: str | None, since: float | None) -> bool:
    is_state = not states or line.state in states
    is_workflow = workflow is None or line.workflow == workflow
    return is_state and is_workflow and (since is None or (line.submitted or 0.0) >= since)


def _show(lines: "Sequence[RunLine]", clock: Clock) -> None:
    rows = [_row(line, clock) for line in lines]
    styles = [STYLES.get(line.state, "") for line in lines]
    print_table(("run", "workflow", "state", "started", "took", "tasks", "reason"), rows, styles=styles)


def _row(line: "RunLine", clock: Clock) -> tuple[str, ...]:
    began = line.started or line.submitted
    is_over = line.state in ("succeeded", "failed", "stopped", "unknown")
    end = line.ended if is_over else clock.now
    took = duration(end - line.started) if line.started is not None and end is not None else ""
    tasks = ", ".join(f"{line.tasks[state]} {word}" for state, word in _TOLD.items() if line.tasks.get(state))
    reason = "; ".join(filter(None, (line.reason.partition("\n")[0], *line.gaps)))
    return line.run, line.workflow, line.state, "" if began is None else clock.when(began), took, tasks, reason
