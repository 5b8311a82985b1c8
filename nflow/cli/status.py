"""`nflow status`: which runs move, and how they ended."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, UtcOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table
from nflow.cli.console.times import Clock, duration

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.engine.runs import RunEntry
    from nflow.runs import Runs
    from nflow.view.run import RunView

_STYLES = {"succeeded": "green", "failed": "red", "stopped": "yellow", "stopping": "yellow", "running": "cyan"}

#: Ended runs that are listed unless all are asked for.
RECENT = 10


def status(
    run: Annotated[str | None, typer.Argument(help="Id of a run, a beginning of it, or @last.", metavar="RUN")] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all runs that are known.")] = False,
    utc: UtcOption = False,
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
        _show(shown, Clock(now=now, utc=utc))
    else:
        say("No runs yet. Start one: nflow run sequence")
    if view is not None and view.failures:
        from nflow.cli.follow.screen import screen  # noqa: PLC0415
        from nflow.cli.follow.summary import failures  # noqa: PLC0415

        screen("").summary(failures(shown[0].run, view, with_output=True))


async def _entries(
    settings: "Settings", run: str | None, *, every: bool
) -> "tuple[list[RunEntry], RunView | None, float]":
    """The entries; of a single run all that is known of it as well; the server's time."""
    from nflow.cli.queues.waiting import explained  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.engine.standing import by_their_logs  # noqa: PLC0415
    from nflow.runs import Runs  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(settings) as engine:
        client = Runs(engine)
        now = await engine.bus.server_time()
        if run is None:
            known = await client.all()
            asked = known if every else _recent(known)
            return await explained(engine, await by_their_logs(engine, asked)), None, now
        [entry] = await by_their_logs(engine, [await client.find(run)])
        view = await _view(client, entry)
        return [_told(each, view) for each in await explained(engine, [entry])], view, now


async def _view(client: "Runs", entry: "RunEntry") -> "RunView":
    from nflow.runs import Following, view_of_known  # noqa: PLC0415

    view = await view_of_known(client.engine, entry.run)
    async with Following(client.engine, client.engine.subjects.run_events(entry.run), view.take):
        return view


def _told(entry: "RunEntry", view: "RunView") -> "RunEntry":
    """The entry; its reason is all that a person should know of a run that seems to go well."""
    from nflow.cli.follow.summary import stopped_dags  # noqa: PLC0415

    told = stopped_dags(view)
    if view.finished is None and view.retrying:
        told.insert(0, f"retrying {view.retrying} {'task' if view.retrying == 1 else 'tasks'}")
    return replace(entry, reason="; ".join(filter(None, (*told, entry.reason))))


def _whole(entry: "RunEntry", view: "RunView") -> dict[str, object]:
    """What the index has of a run, and what its log has of its tasks, as `nflow run --json` tells that."""
    from nflow.cli.follow.summary import tasks_as_json  # noqa: PLC0415

    return {**asdict(entry), **tasks_as_json(view)}


def _recent(entries: "list[RunEntry]") -> "list[RunEntry]":
    ended = [entry for entry in entries if not entry.is_active]
    return sorted(ended[-RECENT:] + [entry for entry in entries if entry.is_active], key=lambda entry: entry.run)


def _show(entries: "list[RunEntry]", clock: Clock) -> None:
    rows = []
    for entry in entries:
        took = duration((entry.ended or clock.now) - entry.started) if entry.started else ""
        began = clock.when(entry.started or entry.submitted)
        rows.append((entry.run, entry.workflow, entry.state, began, took, entry.reason))
    styles = [_STYLES.get(entry.state, "") for entry in entries]
    print_table(("run", "workflow", "state", "started", "took", "reason"), rows, styles=styles)
