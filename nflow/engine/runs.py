"""The index of runs: what `status` lists without reading a log. A hint for people; the logs are the truth."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from nflow.bus.paging import all_records
from nflow.bus.port import Bus, Record, Subscription
from nflow.core.ids import RunId
from nflow.errors import BrokenMessage, Conflict, RunNotFound
from nflow.wire.hints import pack_hint, unpack_hint
from nflow.wire.subjects import Subjects, name_of

_log = logging.getLogger(__name__)

BUCKET = "runs"

#: When the data of a run that succeeded go, unless it was to keep them.
AT_THE_END = "when it ended"

LAST = "@last"

#: States in which a run still moves.
ACTIVE = ("waiting", "running", "stopping")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One line of the index. Times are seconds since the epoch, UTC."""

    run: RunId
    workflow: str
    state: str  #: waiting running stopping succeeded failed stopped
    queue: str
    submitted: float
    started: float | None = None
    ended: float | None = None
    reason: str = ""
    dropped: str = ""  #: when its store went, and what its tasks handed on; empty while they are there

    @property
    def keeps_data(self) -> bool:
        """Whether what it had in its store is there."""
        return not self.dropped

    @property
    def is_active(self) -> bool:
        """Whether the run has yet to end."""
        return self.state in ACTIVE


class RunIndex:
    """The entries of all runs, by id."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects

    async def put(self, entry: RunEntry) -> None:
        """Write or replace the entry of a run."""
        await self._bus.append(self._subjects.kv(BUCKET, entry.run), pack_hint(entry))

    async def note(self, entry: RunEntry, still_mine: Callable[[], Awaitable[bool]]) -> None:
        """Write how far a run is, unless its driver finds that another one drives it by now.

        A driver that was cut off has its news late: the run may have ended meanwhile, and would seem to go on for ever.
        """
        subject = self._subjects.kv(BUCKET, entry.run)
        while True:
            last = await self._bus.last(subject)
            if not await still_mine():  # in this order: what a successor writes from here on is in the way of this
                return
            with suppress(Conflict):
                await self._bus.append(subject, pack_hint(entry), expect=last.seq if last else 0)
                return

    async def announce(self, entry: RunEntry, *, after: int = 0) -> None:
        """Write the entry of a run that was just submitted, or retried, unless its driver was faster.

        Args:
            entry: What to write.
            after: The version of the entry before that.
        """
        with suppress(Conflict):
            await self._bus.append(self._subjects.kv(BUCKET, entry.run), pack_hint(entry), expect=after)

    async def version(self, run: RunId) -> int:
        """The version of the entry of a run; 0 where there is none."""
        record = await self._bus.last(self._subjects.kv(BUCKET, run))
        return record.seq if record else 0

    async def get(self, run: RunId) -> RunEntry | None:
        """The entry of exactly this run."""
        record = await self._bus.last(self._subjects.kv(BUCKET, run))
        return None if record is None else _read(record)

    async def note_dropped(self, run: RunId, when: str) -> None:
        """The data of a run are gone; its entry says so, unless somebody is just writing a newer one."""
        record = await self._bus.last(self._subjects.kv(BUCKET, run))
        if record is not None and (entry := _read(record)) is not None:
            with suppress(Conflict):
                await self._bus.append(record.subject, pack_hint(replace(entry, dropped=when)), expect=record.seq)

    async def remove(self, run: RunId) -> None:
        """Forget a run."""
        await self._bus.purge(self._subjects.kv(BUCKET, run))

    async def all(self) -> list[RunEntry]:
        """Every run that is known, oldest first."""
        records = all_records(self._bus, self._subjects.kv_under(BUCKET))
        # a record without content is the mark of who sweeps, or what other programs leave of a key that they delete
        entries = [_read(record) async for record in records if record.payload]
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.run)

    async def some(self, runs: Iterable[RunId]) -> dict[str, RunEntry]:
        """Those of these runs that are known, by id."""
        subjects = [self._subjects.kv(BUCKET, run) for run in runs]
        entries = [_read(record) for record in await self._bus.last_of_each(subjects) if record.payload]
        return {entry.run: entry for entry in entries if entry is not None}

    async def runs(self) -> set[RunId]:
        """The runs that are known, by id."""
        under = self._subjects.kv_under(BUCKET)
        heads = await self._bus.heads(under, len(under.split(".")))
        return {RunId(name_of(token) or token) for token in (head.rpartition(".")[2] for head in heads)}

    async def since(self, after: int) -> tuple[list[RunEntry], int]:
        """The entries that were written after the record `after`, as they are now, and the newest record by then."""
        entries = []
        async for record in all_records(self._bus, self._subjects.kv_under(BUCKET), after=after):
            after = record.seq
            if record.payload and (entry := _read(record)) is not None:
                entries.append(entry)
        return entries, after

    async def newest(self) -> int:
        """The newest record of any entry."""
        return await self._bus.newest(self._subjects.kv_under(BUCKET))

    def watch(self, on_entry: Callable[[RunEntry], None]) -> Subscription:
        """Call back for entries as they are written. One may be lost; whoever must not miss it asks `since` as well."""

        def on_record(record: Record) -> None:
            if record.payload and (entry := _read(record)) is not None:
                on_entry(entry)

        return self._bus.watch(self._subjects.kv_under(BUCKET), on_record)

    async def find(self, text: str) -> RunEntry:
        """The run whose id begins with `text`, or the last one for `@last`.

        Raises:
            RunNotFound: there is none, or several begin so.
        """
        if text != LAST and (named := await self.get(RunId(text))) is not None:
            return named  # by far the most are asked for by their whole id, and reading all takes its time
        entries = await self.all()
        found = entries[-1:] if text == LAST else [entry for entry in entries if entry.run.startswith(text)]
        if len(found) == 1:
            return found[0]
        raise not_meant(text, [entry.run for entry in found])


def not_meant(text: str, found: Sequence[str]) -> RunNotFound:
    """What to tell somebody whose `text` means no run, or all that were found."""
    if found:
        return RunNotFound(f"Several runs begin with '{text}': {', '.join(found[:5])}. Give more of the id.")
    if text == LAST:
        return RunNotFound("There is no run yet. Start one: nflow run sequence")
    return RunNotFound(f"No run begins with '{text}'. `nflow runs` lists the runs that are known.")


def _read(record: Record) -> RunEntry | None:
    """The entry that a record holds; None if somebody has put something else there."""
    try:
        return unpack_hint(record.payload, RunEntry)
    except BrokenMessage as error:
        _log.warning("%s is left out of the index of runs: %s", record.subject, error)
        return None
