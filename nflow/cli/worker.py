"""`nflow worker` works until it is stopped; `nflow workers` lists who does."""

import asyncio
import json
import logging
import os
import signal
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nflow import loop
from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.edge import log_to_stderr

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.worker.heartbeat import WorkerEntry

_log = logging.getLogger("nflow.worker")


def worker(
    queues: Annotated[
        str | None, typer.Option("--queues", "-q", help="Queues to serve, with commas between them.")
    ] = None,
    slots: Annotated[int | None, typer.Option("--slots", help="Tasks to run at a time.", min=1)] = None,
    name: Annotated[str | None, typer.Option("--name", help="What this worker is called in listings.")] = None,
    server: ServerOption = None,
) -> None:
    """Take work from queues until stopped. One Ctrl-C (or SIGTERM) drains, a second hands back, a third kills.

    [dim]Example:[/dim]  nflow worker -q workflow,dag,task,gpu --slots 4 --name edge-1
    """
    log_to_stderr(logging.INFO)
    settings = load_settings(server, worker__slots=slots, worker__queues=queues)
    loop.run(_work(settings, name))


def workers(as_json: JsonOption = False, server: ServerOption = None) -> None:
    """List the workers that have been heard of lately.

    [dim]Example:[/dim]  nflow workers --json
    """
    entries = loop.run(_workers(load_settings(server)))
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=2))
    elif entries:
        _show(entries)
    else:
        typer.echo("No worker is running. Start one: nflow worker")


async def _work(settings: "Settings", name: str | None) -> None:
    from nflow.config import slot_environment  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import open_engine  # noqa: PLC0415
    from nflow.worker.duties import Duties  # noqa: PLC0415
    from nflow.worker.worker import Worker  # noqa: PLC0415

    duties = Duties(
        queues=tuple(settings.worker.queues),
        slots=settings.worker.slots,
        tasks_per_slot=settings.worker.tasks_per_slot,
        environment=slot_environment(),
    )
    async with open_engine(settings, name=name) as engine:
        working = Worker(engine, duties)
        try:
            await working.start()
            _log.info("%s serves %s with %d slots", working.id, ", ".join(duties.queues), duties.slots)
            await _until_drained(working)
        finally:
            await working.close()


async def _until_drained(working: "Worker") -> None:
    """The first signal drains, the second hands back what runs, the third kills."""
    running = asyncio.get_running_loop()
    first = asyncio.Event()
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            _log.info("draining: %d tasks are to end here; a second signal hands them back", working.tasks)
            first.set()
        elif signals == 2:
            _log.info("handing back %d tasks; a third signal kills", working.tasks)
            working.stop()
        else:
            os._exit(1)  # the kernel ends the slots, other workers take over

    for kind in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(kind, on_signal)
    await first.wait()
    await working.drain()


async def _workers(settings: "Settings") -> "list[WorkerEntry]":
    from nflow.session import open_engine  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.worker.heartbeat import workers as listed  # noqa: PLC0415

    async with open_engine(settings) as engine:
        return await listed(engine)


def _show(entries: "list[WorkerEntry]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("worker", "host", "queues", "slots", "tasks", "drives", "python", "up", box=None, header_style="dim")
    for entry in entries:
        up = f"{(time.time() - entry.started) / 60:.0f} min"
        row = (
            entry.worker,
            entry.host,
            ", ".join(entry.queues),
            entry.slots,
            entry.tasks,
            entry.drives,
            entry.python,
            up,
        )
        table.add_row(*map(str, row))
    Console(highlight=False).print(table)
