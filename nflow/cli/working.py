"""A worker at its work, and what ends it."""

import asyncio
import logging
import os
import signal

from nflow.cli.edge import FAILED
from nflow.config import Settings, slot_environment
from nflow.session import open_engine
from nflow.worker.duties import Duties
from nflow.worker.worker import Worker

_log = logging.getLogger("nflow.worker")


async def work(settings: Settings, name: str | None) -> None:
    """Take work until signals end it: the first drains, the second hands back what runs, the third kills."""
    duties = Duties(
        queues=tuple(settings.worker.queues),
        slots=settings.worker.slots,
        tasks_per_slot=settings.worker.tasks_per_slot,
        environment=slot_environment(),
    )
    async with open_engine(settings, name=name) as engine:
        worker = Worker(engine, duties)
        try:
            await worker.start()
            _log.info("%s serves %s with %d slots", worker.id, ", ".join(duties.queues), duties.slots)
            await _until_drained(worker)
        finally:
            await worker.close()


async def _until_drained(worker: Worker) -> None:
    first = asyncio.Event()
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            _log.info("draining: %d tasks are to end here; a second signal hands them back", worker.tasks)
            first.set()
        elif signals == 2:
            _log.info("handing back %d tasks; a third signal kills", worker.tasks)
            worker.stop()
        else:
            os._exit(FAILED)  # the kernel ends the slots, other workers take over

    loop = asyncio.get_running_loop()
    for kind in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(kind, on_signal)
    await first.wait()
    await worker.drain()
