"""`nflow history`: figures about workflows, all of it for other programs, and what is to be done with it."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nflow.cli.arguments import JsonOption, ServerOption, SinceOption, load_settings
from nflow.cli.console.confirming import confirm
from nflow.cli.console.printable import printable
from nflow.cli.console.streams import say, write
from nflow.cli.console.table import print_json, print_table
from nflow.cli.console.times import duration, moment
from nflow.cli.history.ages import seconds
from nflow.cli.history.asking import asking

if TYPE_CHECKING:
    from nflow.history.questions import TaskFigures

app = typer.Typer(
    help="What happened in all runs, also in those that the server has forgotten: figures, exports, and its upkeep.",
    no_args_is_help=True,
)


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


class Exported(StrEnum):
    """The tables that can be exported."""

    RUNS = "runs"
    DAGS = "dags"
    TASKS = "tasks"
    ATTEMPTS = "attempts"
    EXECUTIONS = "executions"
    RETRIES = "retries"
    GAPS = "gaps"


@app.command("stats")
def stats(
    workflow: Annotated[str, typer.Argument(help="Name of a workflow.", metavar="WORKFLOW")],
    since: SinceOption = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Tell how long each task of a workflow takes, and how often it fails.

    [dim]Example:[/dim]  nflow history stats scan --since 30d
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on

    async def work() -> "tuple[list[TaskFigures], list[str]]":
        async with asking(settings) as asked:
            begin = None if since is None else moment(since, asked.now)
            return asked.questions.figures(workflow, since=begin), asked.questions.workflows()

    figures, workflows = loop.run(work())
    if as_json:
        print_json(list(map(asdict, figures)))
    elif figures:
        rows = [_row(each) for each in figures]
        print_table(("task", "count", "p50", "p95", "max", "failed", "failure rate"), rows)
    else:
        known = f" There are: {', '.join(workflows)}." if workflows and workflow not in workflows else ""
        say(printable(f"No task of '{workflow}' has ended.{known}"))


@app.command("export")
def export(
    table: Annotated[Exported, typer.Option("--table", "-t", help="Which of the history's tables.")] = Exported.RUNS,
    format_: Annotated[Format, typer.Option("--format", "-f", help="How rows are written.")] = Format.CSV,
    since: SinceOption = None,
    server: ServerOption = None,
) -> None:
    """Write a table of the history to stdout, for other programs. docs/history.md tells what its columns mean.

    [dim]Example:[/dim]  nflow history export --table executions --format jsonl > executions.jsonl
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on
    from nflow.history.questions import columns_of  # noqa: PLC0415

    async def work() -> None:
        async with asking(settings) as asked:
            begin = None if since is None else moment(since, asked.now)
            rows = asked.questions.export(table.value, since=begin)
            if format_ is Format.CSV:
                _write_csv(columns_of(table.value), rows)
            else:
                _write_jsonl(rows)

    loop.run(work())


@app.command("prune")
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Runs that ended longer ago: 90d, 12h.", metavar="TIME")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
) -> None:
    """Remove runs from the history that ended long ago. The server's log is not touched.

    [dim]Example:[/dim]  nflow history prune --older-than 90d
    """
    settings, age = load_settings(server), seconds(older_than, "--older-than")
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on
    from nflow.history import pruning  # noqa: PLC0415

    async def work() -> None:
        async with asking(settings) as asked:
            before = asked.now - age
            count = pruning.count_of(asked.database, asked.namespace, before=before)
            if not count:
                say(f"No run in the history ended longer than {older_than} ago.")
                return
            confirm(f"Remove {_runs(count)} from the history?", yes=yes)
            removed = pruning.prune(asked.database, asked.namespace, before=before, now=asked.now)
            say(f"Removed {_runs(removed)} from the history.")

    loop.run(work())


@app.command("rebuild")
def rebuild(server: ServerOption = None) -> None:
    """Read all that the server's log has into the history once more. What the log has dropped stays.

    [dim]Example:[/dim]  nflow history rebuild
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on

    async def work() -> str:
        async with asking(settings, anew=True) as asked:
            return asked.database.place

    say(f"The history in {loop.run(work())} is read anew from the server's log.")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _row(figures: "TaskFigures") -> Sequence[str]:
    times = ["" if each is None else duration(each) for each in (figures.p50, figures.p95, figures.max)]
    rate = f"{100 * figures.failure_rate:.1f} %"
    return f"{figures.dag}/{figures.task}", str(figures.count), *times, str(figures.failed), rate


def _write_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    is_seen = sys.stdout.isatty()
    for row in rows:
        writer.writerow([_cell(row[name], is_seen=is_seen) for name in columns])


def _cell(value: object, *, is_seen: bool) -> object:
    """Nested values as JSON; texts as they are, but for what would upset a terminal."""
    if isinstance(value, str):
        return printable(value) if is_seen else value
    return json.dumps(value) if isinstance(value, dict | list) else value


def _write_jsonl(rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        write(sys.stdout, f"{json.dumps(row)}\n", flush=False)
