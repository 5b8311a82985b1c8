"""`nflow status`: which runs move, and how they ended."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table
from nflow.cli.console.times import when

if TYPE_CHECKING:
    from nflow.client import Client
    from nflow.config import Settings
    from nflow.engine.runs import RunEntry
    from nflow.view.run import RunView

_STYLES = {"succeeded": "green", "failed": "red", "stopped": "yellow", "stopping": "yellow", "running": "cyan"}

#: Ended runs that are listed unless all are asked for.
RECENT = 10


def status(
    run: Annotated[str | None, typer.Argument(help="Id of a run, a beginning of it, or @last.", metavar="RUN")] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all runs that are known.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """List the runs that move, and the last ones that ended.

    [dim]Example:[/dim]  nflow status @last
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    shown, view, now = loop.run(_entries(settings, run, every=every))
    if as_json:
        print_json(shown if view is None else [_whole(entry, view) for entry in shown])
        return
    if shown:
        _show(shown, now)
    else:
        say("No runs yet. Start one: nflow run sequence")
    if view is not None and view.failures:
        from nflow.cli.follow.screen import screen  # noqa: PLC0415
        from nflow.cli.follow.summary import failures  # noqa: PLC0415

        screen("").summary(failures(view, with_output=True))


async def _entries(
    settings: "Settings", run: str | None, *, every: bool
) -> "tuple[list[RunEntry], RunView | None, float]":
    """The entries; of a single run all that is known of it as well; the server's time."""
    from nflow.cli.queues.waiting import explained  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.client import Client  # noqa: PLC0415
    from nflow.engine.standing import by_their_logs  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Client(engine)
        now = await engine.bus.server_time()
        if run is None:
            known = await client.runs()
            asked = known if every else _recent(known)
            return await explained(engine, await by_their_logs(engine, asked), closely=False), None, now
        [entry] = await by_their_logs(engine, [await client.find(run)])
        return await explained(engine, [entry], closely=True), await _view(client, entry), now


async def _view(client: "Client", entry: "RunEntry") -> "RunView":
    from nflow.cli.follow.following import view_of_known  # noqa: PLC0415
    from nflow.client import Following  # noqa: PLC0415

    view = await view_of_known(client.engine, entry.run)
    async with Following(client.engine, client.engine.subjects.run_events(entry.run), view.take):
        return view


def _whole(entry: "RunEntry", view: "RunView") -> dict[str, object]:
    """What the index has of a run, and what its log has of its tasks, as `nflow run --json` tells that."""
    from nflow.cli.follow.summary import tasks_as_json  # noqa: PLC0415

    return {**asdict(entry), **tasks_as_json(view)}


def _recent(entries: "list[RunEntry]") -> "list[RunEntry]":
    ended = [entry for entry in entries if not entry.is_active]
    return sorted(ended[-RECENT:] + [entry for entry in entries if entry.is_active], key=lambda entry: entry.run)


def _show(entries: "list[RunEntry]", now: float) -> None:
    rows = []
    for entry in entries:
        lasted = f"{(entry.ended or now) - entry.started:.1f}" if entry.started else ""
        began = when(entry.started or entry.submitted, now)
        rows.append((entry.run, entry.workflow, entry.state, began, lasted, entry.reason))
    styles = [_STYLES.get(entry.state, "") for entry in entries]
    print_table(("run", "workflow", "state", "started", "seconds", "reason"), rows, styles=styles)
