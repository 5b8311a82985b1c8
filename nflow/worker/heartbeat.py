"""What a worker tells of itself, for people: renewed while it lives, forgotten soon after it does not."""

import asyncio
import logging
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from nflow.bus.paging import all_records
from nflow.bus.port import Record
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.errors import BrokenMessage, BusError
from nflow.wire.hints import pack_hint, unpack_hint
from nflow.wire.python import python_tag
from nflow.worker.duties import Duties
from nflow.worker.load import Load

_log = logging.getLogger(__name__)

BUCKET = "workers"

#: Seconds between two beats, and after which a worker that sends none is no longer listed.
BEAT = 2.0
FORGOTTEN = 10.0

#: Seconds that a worker takes for not being listed any more.
FAREWELL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEntry:
    """One line of `nflow workers`. Times are seconds since the epoch, for readers by the server's clock."""

    worker: WorkerId
    host: str
    pid: int
    python: str
    version: str
    queues: tuple[str, ...]
    slots: int
    tasks: int  #: running now
    drives: int  #: runs and dag runs driven now
    repaired: int  #: records that no push had brought
    started: float
    seen: float
    up: float = 0.0  #: seconds for which the worker has been there
    busy: int = 0  #: slots in which a task runs
    lent: int = 0  #: tasks that wait for others and have lent their place
    cpu: float = 0.0  #: cores that worker and slots have used since the last beat: 1.5 is one and a half
    memory_bytes: int = 0  #: that worker and slots hold


class Heartbeat:
    """The beats of one worker."""

    def __init__(
        self,
        engine: Engine,
        duties: Duties,
        counts: Callable[[], tuple[int, int]],
        version: str,
        load: Callable[[], Load] = Load,
    ) -> None:
        self._engine = engine
        self._duties = duties
        self._counts = counts
        self._version = version
        self._load = load
        self._started = time.time()
        self._began = time.monotonic()
        self._clock: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Be listed from now on."""
        self._clock = asyncio.ensure_future(self._beat())

    async def close(self) -> None:
        """Be listed no more."""
        if self._clock is not None:
            self._clock.cancel()
            with suppress(TimeoutError, BusError):  # without a server there is nobody to tell, and nothing to wait for
                async with asyncio.timeout(FAREWELL):
                    # nobody is told of what is removed; of a beat without words everybody is, and it goes by itself
                    await self._engine.bus.append(self._subject, b"", ttl=FORGOTTEN)

    @property
    def _subject(self) -> str:
        return self._engine.subjects.kv(BUCKET, self._engine.holdings.worker)

    async def _beat(self) -> None:
        while True:
            try:
                await self._engine.bus.append(self._subject, pack_hint(self._entry()), ttl=FORGOTTEN)
            except BusError as error:
                _log.warning("this worker is not listed for now: %s", error)
            await asyncio.sleep(BEAT)  # a clock, not a wait

    def _entry(self) -> WorkerEntry:
        tasks, drives = self._counts()
        load = self._load()
        return WorkerEntry(
            worker=self._engine.holdings.worker,
            host=platform.node(),
            pid=os.getpid(),
            python=python_tag(),
            version=self._version,
            queues=tuple(self._duties.queues),
            slots=self._duties.slots,
            tasks=tasks,
            drives=drives,
            repaired=self._engine.reconciler.repaired,
            started=self._started,
            seen=time.time(),
            up=time.monotonic() - self._began,
            busy=load.busy,
            lent=load.lent,
            cpu=load.cpu,
            memory_bytes=load.memory_bytes,
        )


async def workers(engine: Engine) -> list[WorkerEntry]:
    """The workers that have been heard of lately, by name."""
    records = all_records(engine.bus, engine.subjects.kv_under(BUCKET))
    entries = [entry_of(record) async for record in records]
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.worker)


def entry_of(record: Record) -> WorkerEntry | None:
    """What a worker told of itself; None if it said farewell, or somebody has put something else there."""
    if not record.payload:
        return None
    try:
        entry = unpack_hint(record.payload, WorkerEntry)
        # whatever the clock of its host says: all these times are to be compared with each other
        return replace(entry, seen=record.at, started=record.at - entry.up)
    except BrokenMessage as error:
        _log.warning("%s is left out of the list of workers: %s", record.subject, error)
        return None
