"""Tells when jobs of a run wait for workers that are not there, and when these have come."""

import asyncio
import logging
from collections.abc import Callable

from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.serving import Lack, Needs
from nflow.errors import BusError
from nflow.files.needs import lack_of_all, lack_of_some, served_now
from nflow.worker.roster import Roster

_log = logging.getLogger(__name__)

#: Seconds between an event and a look at what follows from it: a job that is sent and taken meanwhile is no news, nor
#: is a worker that another one replaces.
PAUSE = 0.5


class Lookout:
    """Looks out for one run while the `async with` lasts: once for each queue and what it lacks, it tells of it.

    It asks the server only while nobody serves some queue of the run: after events, and at the ticks of the reconciler,
    for a driver may be slow to send what follows.
    """

    def __init__(self, engine: Engine, run: RunId, needs: Needs, note: Callable[[str], None]) -> None:
        self._engine = engine
        self._run = run
        self._needs = needs
        self._note = note
        self._roster = Roster(engine, self._on_change)
        self._told: dict[str, Lack] = {}  # by queue
        self._alone = False  # it was told that there is no worker at all, which names no queue
        self._looking: asyncio.Task[None] | None = None
        self._news = False

    async def __aenter__(self) -> "Lookout":
        await self._roster.__aenter__()
        self._told = self._lacks()
        self._alone = self._roster.is_empty
        if self._told:
            self._note(lack_of_all(list(self._told.values()), anybody=not self._alone))
        self._engine.reconciler.add(self._on_tick)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._engine.reconciler.discard(self._on_tick)
        if self._looking is not None:
            self._looking.cancel()
        await self._roster.__aexit__(*error)

    def on_event(self) -> None:
        """Something has happened in the run."""
        if self._lacks().items() - self._told.items():
            self._look_soon()

    def _on_change(self) -> None:
        if self._told or self._lacks():
            self._look_soon()

    async def _on_tick(self) -> int:
        self.on_event()
        return 0

    def _lacks(self) -> dict[str, Lack]:
        return self._roster.served.lacks(self._needs)

    def _look_soon(self) -> None:
        self._news = True
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        try:
            while self._news:
                await asyncio.sleep(PAUSE)  # a clock, not a wait: see there
                self._news = False
                await self._tell()
        except BusError as error:
            _log.debug("whether run %s waits for workers is not known for now: %s", self._run, error)
        finally:
            self._looking = None

    async def _tell(self) -> None:
        lacks = self._lacks()
        if come := [queue for queue in self._told if queue not in lacks]:
            self._told = {queue: lack for queue, lack in self._told.items() if queue in lacks}
            self._note(served_now(come))
        if self._alone and not self._roster.is_empty:
            self._alone = False
            self._told.clear()
        fresh = [lack for queue, lack in lacks.items() if self._told.get(queue) != lack and await self._waits(lack)]
        self._told |= {lack.queue: lack for lack in fresh}
        for text in lack_of_some(fresh):
            self._note(text)

    async def _waits(self, lack: Lack) -> bool:
        """Whether a job of the run is in that queue."""
        subjects = self._engine.subjects
        if lack.python:
            places: tuple[str, ...] = (subjects.tasks_of(self._run, lack.queue, lack.python),)
        else:
            places = subjects.jobs_of(self._run, lack.queue)
        pages = await asyncio.gather(*(self._engine.bus.read(place, limit=1) for place in places))
        return any(page.records for page in pages)
