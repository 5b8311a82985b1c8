"""Logs: following one without missing a record, and appending to one as its owner.

Pushes are fast and may be lost without a trace; reading is sure. A follower delivers every record of its log exactly
once: at first by reading, then by pushes, and now and then it asks the server how many records there ought to be.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from nflow.bus.port import Bus, Guard, Record
from nflow.core.events import Event
from nflow.errors import BrokenMessage, BusError, LogDamaged, NflowError, SchemaTooNew
from nflow.wire.messages import pack_events, unpack_events

_log = logging.getLogger(__name__)

#: Events of one guarded append, unless they are larger than a message may be: then it is fewer.
EVENTS_PER_RECORD = 2000

#: Records that are stored between the two looks of a comparison spoil it, so it is tried so many times.
LOOKS = 8


def events_of(record: Record) -> list[Event]:
    """What a record of a log says.

    Raises:
        LogDamaged: these are no events.
        SchemaTooNew: a newer nflow wrote them.
    """
    try:
        return unpack_events(record.payload)
    except BrokenMessage as error:
        raise damaged(record, error) from error
    except SchemaTooNew as error:
        raise SchemaTooNew(f"record {record.seq} on {record.subject}: {error}") from error


def readable(record: Record) -> list[Event]:
    """What a record of a log says; nothing where it is damaged, which whoever drives that log sees to."""
    try:
        return events_of(record)
    except LogDamaged as error:
        _log.debug("%s", error)
        return []


def damaged(record: Record, error: Exception) -> LogDamaged:
    """What is wrong with a record, and where to find it."""
    told = str(error) if isinstance(error, NflowError) else f"{type(error).__name__}: {error}"
    return LogDamaged(f"record {record.seq} of its log, on {record.subject}, is damaged: {told}")


class Follower:
    """The records of one log, each of them once; in the order of the log, but for what a lost push delays."""

    def __init__(self, bus: Bus, subject: str, on_record: Callable[[Record], None], *, after: int = 0) -> None:
        """Follow what is under `subject`, from behind the record `after`."""
        self._bus = bus
        self._subject = subject
        self._on_record = on_record
        self._verified = after  # everything up to here has been delivered, or is not wanted
        self._ahead: set[int] = set()  # delivered, and newer than that
        self._unread: list[Record] | None = []  # pushes that came while the past was being read
        self._arrived = asyncio.Event()
        self._reading = asyncio.Lock()
        self._repair: asyncio.Task[None] | None = None
        self._watch = bus.watch(subject, self._on_push)
        self._reconnects = bus.on_reconnect(self._read_soon)

    async def start(self) -> None:
        """Deliver what the log holds, then whatever comes."""
        await self._read_all()
        waiting, self._unread = self._unread or [], None
        for record in waiting:
            self._on_push(record)

    async def reach(self, seq: int) -> None:
        """Return when everything up to `seq` has been delivered: a replica may know less than its leader."""
        while self._verified < seq and seq not in self._ahead:
            self._arrived.clear()
            if not await self._read_all():
                await self._arrived.wait()

    async def check(self) -> int:
        """Compare with the server; deliver what no push brought and say how many records that were.

        The server counts: as many records as were delivered must lie between the last verified one and the newest
        delivered one. What is newer than that is on its way, unless nothing arrives any more.
        """
        for _ in range(LOOKS):
            seen, verified = set(self._ahead), self._verified
            # One after the other: what is stored in between then makes the second too large. Were it the other way
            # round, it would make up for records that are missing, and these would never be read.
            newer = await self._count(max(seen, default=verified))
            stored = await self._count(verified)
            if stored - newer == len(seen):
                self._advance(seen)
                if newer and len(self._ahead) == 0:
                    break
                return 0
        return await self._read_all()

    async def complete(self) -> bool:
        """Whether a look at the server finds nothing new: asked before what cannot be taken back."""
        delivered = len(self._ahead)
        if await self._count(self._verified) == delivered:
            return True
        return await self._read_all() == 0

    def close(self) -> None:
        """Stop following."""
        self._watch.close()
        self._reconnects.close()
        if self._repair is not None:
            self._repair.cancel()

    async def _count(self, after: int) -> int:
        page = await self._bus.read(self._subject, after=after, limit=1)
        return len(page.records) + page.pending

    def _on_push(self, record: Record) -> None:
        if self._unread is not None:
            self._unread.append(record)
            return
        if record.last_seq > self._verified and record.last_seq not in self._ahead:
            self._read_soon()
        self._deliver(record)

    def _deliver(self, record: Record) -> bool:
        if record.seq <= self._verified or record.seq in self._ahead:
            return False
        self._ahead.add(record.seq)
        self._arrived.set()
        self._on_record(record)
        return True

    async def _read_all(self) -> int:
        """Read on from the last verified record; how many of them had not been delivered yet."""
        found = 0
        async with self._reading:
            while True:
                page = await self._bus.read(self._subject, after=self._verified)
                found += sum(self._deliver(record) for record in page.records)
                if page.records:
                    self._advance({record.seq for record in page.records})
                if not page.pending:
                    return found

    def _advance(self, seen: set[int]) -> None:
        if seen:
            self._verified = max(self._verified, *seen)
            self._ahead = {seq for seq in self._ahead if seq > self._verified}

    def _read_soon(self) -> None:
        if self._unread is None and (self._repair is None or self._repair.done()):
            self._repair = asyncio.ensure_future(self._read_quietly())

    async def _read_quietly(self) -> None:
        try:
            found = await self._read_all()
        except BusError as error:
            _log.warning("%s: %s", self._subject, error)  # the next comparison with the server tries again
            return
        if found:
            _log.debug("read %d records of %s that no push had brought", found, self._subject)


class OwnLog:
    """What only the owner of a log may write: one guarded append at a time, and whatever gathers meanwhile goes next.

    On a replicated stream, guarded appends in flight together are refused; one at a time they never are.
    """

    def __init__(self, bus: Bus, subject: str, guard: Guard, on_failed: Callable[[Exception], None]) -> None:
        self._bus = bus
        self._subject = subject
        self._guard = guard
        self._on_failed = on_failed
        self._waiting: list[Event] = []
        self._appended = self._stored = 0  # events, ever
        self._progress = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    def append(self, events: Sequence[Event]) -> None:
        """Write these soon, after what was appended before."""
        self._waiting.extend(events)
        self._appended += len(events)
        if self._writer is None and self._failure is None:
            self._writer = asyncio.ensure_future(self._write())

    async def written(self) -> None:
        """Return when all that was appended before is stored.

        Raises:
            Fenced: the log has another owner by now.
            BusError: it could not be stored.
        """
        mark = self._appended
        while self._stored < mark and self._failure is None:
            await self._progress.wait()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Write no more."""
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_next()
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner must learn that its log is not written
            self._failure = error
            self._on_failed(error)
        finally:
            self._writer = None
            self._tell()

    async def _write_next(self) -> None:
        batch = self._waiting[:EVENTS_PER_RECORD]
        while len(payload := pack_events(batch)) > self._bus.max_payload_bytes and len(batch) > 1:
            batch = batch[: len(batch) // 2]
        await self._bus.append(self._subject, payload, guard=self._guard)
        del self._waiting[: len(batch)]
        self._stored += len(batch)
        self._tell()

    def _tell(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
