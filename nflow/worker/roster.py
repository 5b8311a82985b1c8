"""The workers that are there, as others see them: by their beats, their farewells, and their silence."""

import asyncio
import logging
from collections.abc import Callable

from nflow.bus.paging import all_records
from nflow.bus.port import Record
from nflow.engine.engine import Engine
from nflow.engine.serving import Served, served_by
from nflow.errors import BusError
from nflow.worker.heartbeat import BEAT, BUCKET, FORGOTTEN, WorkerEntry, entry_of

_log = logging.getLogger(__name__)


class Roster:
    """Follows who serves what while the `async with` lasts.

    The server forgets a worker that has fallen silent, and tells nobody. So when none of its beats has come for that
    long the list is read once more, and what it says counts: perhaps it was this process that heard nothing.
    """

    def __init__(self, engine: Engine, on_change: Callable[[], None], *, silence: float = FORGOTTEN + BEAT) -> None:
        """Make one that knows nobody.

        Args:
            engine: Where to listen.
            on_change: Called when other queues are served than before, or by workers with other Pythons.
            silence: Seconds without a beat after which a worker is looked for.
        """
        self.served = Served()
        self._bus = engine.bus
        self._subject = engine.subjects.kv_under(BUCKET)
        self._on_change = on_change
        self._silence = silence
        self._entries: dict[str, WorkerEntry] = {}  # by the subject of their beats
        self._heard: dict[str, float] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def entries(self) -> list[WorkerEntry]:
        """What the workers that are there have told of themselves last."""
        return list(self._entries.values())

    @property
    def is_empty(self) -> bool:
        """Whether no worker is there."""
        return not self._entries

    async def __aenter__(self) -> "Roster":
        self._loop = asyncio.get_running_loop()
        self._watch = self._bus.watch(self._subject, self._on_record)
        self._reconnects = self._bus.on_reconnect(self._read_soon)
        await self._read()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watch.close()
        self._reconnects.close()
        if self._clock is not None:
            self._clock.cancel()
        if self._reading is not None:
            self._reading.cancel()

    def _on_record(self, record: Record) -> None:
        self._take(record)
        self._tell()

    def _take(self, record: Record) -> None:
        entry = entry_of(record)
        if entry is None:
            self._entries.pop(record.subject, None)
            self._heard.pop(record.subject, None)
        else:
            self._entries[record.subject] = entry
            self._heard[record.subject] = self._loop.time()

    async def _read(self) -> None:
        began = self._loop.time()
        records = [record async for record in all_records(self._bus, self._subject)]
        gone = self._heard.keys() - {record.subject for record in records}
        for subject in [subject for subject in gone if self._heard[subject] < began]:
            del self._entries[subject], self._heard[subject]
        for record in records:
            self._take(record)
        self._tell()
        self._arm()

    def _read_soon(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read_quietly())

    async def _read_quietly(self) -> None:
        try:
            await self._read()
        except BusError as error:
            _log.debug("who works is not known for now: %s", error)
            self._arm()

    def _arm(self) -> None:
        """Look again when somebody may have fallen silent."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = self._loop.call_later(self._silence, self._on_clock)

    def _on_clock(self) -> None:
        if min(self._heard.values(), default=self._loop.time()) + self._silence <= self._loop.time():
            self._read_soon()
        else:
            self._arm()

    def _tell(self) -> None:
        served = served_by(self._entries.values())
        if served != self.served:
            self.served = served
            self._on_change()
