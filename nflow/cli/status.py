"""`nflow status`: which runs move, and how they ended."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nflow import loop
from nflow.cli.arguments import JsonOption, ServerOption, load_settings

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.engine.runs import RunEntry

_STYLES = {"succeeded": "green", "failed": "red", "stopped": "yellow", "running": "cyan"}

#: Ended runs that are listed unless all are asked for.
RECENT = 10


def status(
    run: Annotated[
        str | None, typer.Argument(help="Id of a run, a beginning of it, or @last.", metavar="[RUN]")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all runs that are known.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """List the runs that move, and the last ones that ended.

    [dim]Example:[/dim]  nflow status @last
    """
    entries = loop.run(_entries(load_settings(server), run))
    if run is None and not every:
        active = [entry for entry in entries if entry.is_active]
        entries = [entry for entry in entries if not entry.is_active][-RECENT:] + active
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
    elif entries:
        _show(entries)
    else:
        typer.echo("No runs yet. Start one: nflow run sequence")


async def _entries(settings: "Settings", run: str | None) -> "list[RunEntry]":
    from nflow.client import Client  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Client(engine)
        return await client.runs() if run is None else [await client.find(run)]


def _show(entries: "list[RunEntry]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("run", "workflow", "state", "started", "seconds", "reason", box=None, header_style="dim")
    for entry in entries:
        began = entry.started or entry.submitted
        lasted = f"{(entry.ended or time.time()) - began:.1f}" if entry.started else ""
        state = f"[{_STYLES.get(entry.state, 'white')}]{entry.state}[/]"
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began))
        table.add_row(entry.run, entry.workflow, state, at, lasted, entry.reason)
    Console(highlight=False).print(table)
