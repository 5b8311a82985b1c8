"""`nflow worker` works until it is stopped; `nflow workers` lists who does."""

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, SlotsOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table
from nflow.cli.console.times import duration
from nflow.cli.edge import log_to_stderr

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.worker.heartbeat import WorkerEntry


def worker(
    queues: Annotated[
        str | None, typer.Option("--queues", "-q", help="Queues to serve, with commas between them.")
    ] = None,
    slots: SlotsOption = None,
    name: Annotated[str | None, typer.Option("--name", help="What this worker is called in listings.")] = None,
    server: ServerOption = None,
) -> None:
    """Take work from queues until stopped. One Ctrl-C (or SIGTERM) drains, a second hands back, a third kills.

    [dim]Example:[/dim]  nflow worker -q workflow,dag,task,gpu --slots 4 --name edge-1
    """
    log_to_stderr(logging.INFO)
    settings = load_settings(server, worker__slots=slots, worker__queues=queues)
    from nflow import loop  # noqa: PLC0415 - the bus and all that is needed only from here on
    from nflow.cli.worker.working import work  # noqa: PLC0415

    loop.run(work(settings, name))


def workers(as_json: JsonOption = False, server: ServerOption = None) -> None:
    """List the workers that have been heard of lately.

    [dim]Example:[/dim]  nflow workers --json
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the bus, needed only from here on

    entries = loop.run(_workers(settings))
    if as_json:
        print_json(entries)
    elif entries:
        _show(entries)
    else:
        say("No worker is running. Start one: nflow worker")


async def _workers(settings: "Settings") -> "list[WorkerEntry]":
    from nflow.session import open_engine  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.worker.heartbeat import workers as listed  # noqa: PLC0415

    async with open_engine(settings) as engine:
        return await listed(engine)


def _show(entries: "list[WorkerEntry]") -> None:
    rows = [
        (
            entry.worker,
            entry.host,
            str(entry.slots),
            str(entry.tasks),
            str(entry.drives),
            entry.python,
            entry.version,
            duration(entry.up),
            ", ".join(entry.queues),
        )
        for entry in entries
    ]
    print_table(("worker", "host", "slots", "tasks", "drives", "python", "nflow", "up", "queues"), rows)
    if len({entry.version for entry in entries}) > 1:
        say("They are not all of one version: the older ones hand back what newer ones have written. Upgrade them.")
