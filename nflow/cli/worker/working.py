"""A worker at its work, and what ends it."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterable

from nflow.cli.edge import FAILED
from nflow.config import Settings, slot_environment
from nflow.session import open_engine, retention
from nflow.worker.duties import Duties
from nflow.worker.worker import Worker

_log = logging.getLogger("nflow.worker")


def duties_of(settings: Settings, queues: Iterable[str] = ()) -> Duties:
    """What a worker is to do by the settings, in further `queues` too."""
    given = settings.worker
    return Duties(
        queues=tuple(dict.fromkeys((*given.queues, *queues))),
        slots=given.slots,
        tasks_per_slot=given.tasks_per_slot,
        slot_memory=given.slot_memory,
        recycle_memory=given.recycle_memory,
        most_output=int(settings.logs.per_task),
        kill_after=given.kill_after,
        retention=retention(settings),
        environment=slot_environment(),
    )


async def work(settings: Settings, name: str | None) -> None:
    """Take work until signals end it: the first drains, the second hands back what runs, the third kills."""
    duties = duties_of(settings)
    async with open_engine(settings, name=name, works=True) as engine:
        worker = Worker(engine, duties)
        leaving = _Leaving(worker)  # before it takes work: from then on a signal must not end it unasked
        try:
            await worker.start()
            _log.info("%s serves %s with %d slots", worker.id, ", ".join(duties.queues), duties.slots)
            await leaving.asked.wait()
            await worker.drain()
        finally:
            await worker.close()


class _Leaving:
    """What signals ask of a worker: the first to drain, the second to hand back, the third to die."""

    def __init__(self, worker: Worker) -> None:
        self.asked = asyncio.Event()
        self._worker = worker
        self._signals = 0
        for kind in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(kind, self._on_signal)

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1:
            _log.info("draining: %d tasks are to end here; a second signal hands them back", self._worker.tasks)
            self.asked.set()
        elif self._signals == 2:
            _log.info("handing back %d tasks; a third signal kills", self._worker.tasks)
            self._worker.stop()
        else:
            os._exit(FAILED)  # the kernel ends the slots, other workers take over
