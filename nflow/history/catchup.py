"""Bringing the history up to what the log says now: whoever asks first does it, and nobody has to.

Any number of processes may do so at once. Each portion of the log is one transaction together with its position.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from nflow.bus.port import Bus, Page
from nflow.core.ids import RunId
from nflow.history import rows
from nflow.history.database import Database
from nflow.history.portion import Overtaken, Portion, portion_of, specs_of, write
from nflow.history.rows import fit
from nflow.history.schema import GAPS, OF_RUNS, POSITIONS, RUNS
from nflow.view.detail import UNKNOWN, Retries
from nflow.wire.subjects import Subjects, name_of

#: Records that are read and written at once: a transaction of a few tenths of a second.
PORTION: Final = 5000

#: Seconds without an answer after which the server is taken for away.
PATIENCE: Final = 10.0

#: Tokens of the subjects of a run that tell which it is.
_RUN_TOKENS: Final = 3

#: What is noted of a run that went on when the history last heard of it, and whose log is there no more.
NO_END: Final = "its log was removed before its end was read"

_ACTIVE: Final = ("waiting", "running", "stopping")

#: Finds what a workflow says about retries, by the digest of its plan; nothing where that is gone.
Policies: TypeAlias = Callable[[str], Awaitable[Retries]]

#: Is told how many records were read, and how many there are about.
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(slots=True, kw_only=True)
class CaughtUp:
    """What it took."""

    records: int = 0
    remarks: tuple[str, ...] = ()  #: what a person should know


class CatchUp:
    """The way from where the history is to where the log is."""

    def __init__(
        self, database: Database, bus: Bus, policies: Policies, *, on_progress: Progress = lambda _, __: None
    ) -> None:
        self._database = database
        self._bus = bus
        self._subjects = Subjects(bus.namespace)
        self._policies = policies
        self._on_progress = on_progress
        self._known: dict[str, Retries] = {}  # by digest
        self._done = CaughtUp()

    async def run(self) -> CaughtUp:
        """Take in all that was stored before this was called.

        Raises:
            TimeoutError: the server does not answer; what was taken in before stays.
            HistoryUnavailable: the database cannot be used.
        """
        every = self._subjects.all_events()
        async with asyncio.timeout(PATIENCE):
            stream, newest = await self._bus.origin(every), await self._bus.newest(every)
        position, remark = await asyncio.to_thread(self._begin, stream)
        if position > newest:
            remark = "The server's log was set back, to a backup perhaps: the history is read anew from it."
            position = await self._again(stream)
        if remark:
            self._done.remarks = (remark,)
        await self._read_on(stream, position, newest)
        await self._look_for_lost()
        return self._done

    async def rebuild(self) -> CaughtUp:
        """Forget all that the log can tell again, and read it from its beginning; other runs stay as they are."""
        async with asyncio.timeout(PATIENCE):
            stream = await self._bus.origin(self._subjects.all_events())
        await asyncio.to_thread(self._begin, stream)
        await self._again(stream)
        return await self.run()

    # --- where to begin ---

    def _begin(self, stream: str) -> tuple[int, str]:
        """The position in this stream, which may be new here; and what is to be said of that."""
        first = {"namespace": self._bus.namespace, "stream": stream, "seq": 0, "at": None}
        with self._database.writing() as connection:
            before = self._positions(connection)
            if stream in before:
                return before[stream], ""
            try:
                with connection.begin_nested():
                    connection.execute(insert(POSITIONS), first)
            except IntegrityError:  # somebody else has begun in this moment
                return self._positions(connection)[stream], ""
        return 0, "The server's log was made anew: what the history knows from the one before stays." if before else ""

    def _positions(self, connection: Connection) -> dict[str, int]:
        chosen = select(POSITIONS).where(POSITIONS.c.namespace == self._bus.namespace)
        return {row.stream: row.seq for row in connection.execute(chosen)}

    async def _again(self, stream: str) -> int:
        """Go back to the beginning: of runs that the log has, nothing stays."""
        heads = await self._bus.heads(self._subjects.all_events(), _RUN_TOKENS)
        tokens = (head.split(".")[_RUN_TOKENS - 1] for head in heads)
        await asyncio.to_thread(self._forget, stream, [name_of(token) or token for token in tokens])
        return 0

    def _forget(self, stream: str, runs: Iterable[str]) -> None:
        at = (POSITIONS.c.namespace == self._bus.namespace) & (POSITIONS.c.stream == stream)
        known = [fit(run) for run in runs]
        with self._database.writing() as connection:
            connection.execute(update(POSITIONS).where(at).values(seq=0, at=None))
            for table in OF_RUNS:
                for start in range(0, len(known), 500):
                    connection.execute(delete(table).where(table.c.run.in_(known[start : start + 500])))

    # --- portion by portion ---

    async def _read_on(self, stream: str, position: int, newest: int) -> None:
        """Read the next portion while this one is written."""
        reading = asyncio.ensure_future(self._read(position))
        try:
            while position < newest and (page := await reading).records:
                reading = asyncio.ensure_future(self._read(page.records[-1].seq))
                try:
                    await self._write(page, stream, position)
                    position = page.records[-1].seq
                    self._done.records += len(page.records)
                except Overtaken:  # by somebody who reads the same
                    reading.cancel()
                    position = await asyncio.to_thread(self._position, stream)
                    reading = asyncio.ensure_future(self._read(position))
                self._on_progress(position, newest)
        finally:
            reading.cancel()

    async def _read(self, after: int) -> Page:
        async with asyncio.timeout(PATIENCE):
            return await self._bus.read(self._subjects.all_events(), after=after, limit=PORTION)

    async def _write(self, page: Page, stream: str, after: int) -> None:
        portion = await asyncio.to_thread(portion_of, page.records)
        retries = await self._retries(portion)
        await asyncio.to_thread(self._store, portion, stream, after, retries)

    def _store(self, portion: Portion, stream: str, after: int, retries: dict[RunId, Retries]) -> None:
        with self._database.writing() as connection:
            write(connection, portion, namespace=self._bus.namespace, stream=stream, after=after, retries=retries)

    def _position(self, stream: str) -> int:
        at = (POSITIONS.c.namespace == self._bus.namespace) & (POSITIONS.c.stream == stream)
        with self._database.reading() as connection:
            position: int = connection.execute(select(POSITIONS.c.seq).where(at)).scalar_one()
            return position

    async def _retries(self, portion: Portion) -> dict[RunId, Retries]:
        """Whether attempts follow that fail here is for the plans of their workflows to say."""
        failing = [chapter for chapter in portion.chapters.values() if chapter.fails]
        specs = {chapter.run: chapter.spec for chapter in failing if chapter.spec is not None}
        if unknown := [chapter.run for chapter in failing if chapter.run not in specs]:
            specs |= await asyncio.to_thread(self._specs, unknown)
        return {run: await self._retries_of(spec) for run, spec in specs.items()}

    def _specs(self, runs: list[RunId]) -> dict[RunId, str]:
        with self._database.reading() as connection:
            return specs_of(connection, runs)

    async def _retries_of(self, spec: str) -> Retries:
        if spec not in self._known:
            async with asyncio.timeout(PATIENCE):
                self._known[spec] = await self._policies(spec)
        return self._known[spec]

    # --- what the log does not tell any more ---

    async def _look_for_lost(self) -> None:
        """Of runs that seem to go on, and whose logs are gone, nobody will ever tell the end."""
        active = await asyncio.to_thread(self._active)
        if not active:
            return
        subjects = {self._subjects.own(run): run for run in active}
        async with asyncio.timeout(PATIENCE):
            there = await self._bus.last_of_each(list(subjects))
        lost = set(active) - {subjects[record.subject] for record in there}
        if lost:
            await asyncio.to_thread(self._note_lost, sorted(lost))

    def _active(self) -> list[RunId]:
        chosen = select(RUNS.c.run).where(
            RUNS.c.namespace == self._bus.namespace, RUNS.c.state.in_(_ACTIVE), RUNS.c.started.is_not(None)
        )
        with self._database.reading() as connection:
            return [RunId(rows.unfit(run)) for run in connection.execute(chosen).scalars()]

    def _note_lost(self, lost: list[RunId]) -> None:
        with self._database.writing() as connection:
            for run in lost:
                still = (RUNS.c.run == fit(run)) & RUNS.c.state.in_(_ACTIVE)
                row = connection.execute(select(RUNS.c.last_seq, RUNS.c.last_at).where(still)).one_or_none()
                if row is None:
                    continue
                numbers = connection.execute(select(GAPS.c.number).where(GAPS.c.run == fit(run))).scalars()
                gap = {"run": fit(run), "number": max(numbers, default=0) + 1, "seq": row.last_seq}
                connection.execute(insert(GAPS), gap | {"at": row.last_at, "what": NO_END})
                connection.execute(update(RUNS).where(still).values(state=UNKNOWN, reason=NO_END))


def newest_of(database: Database, namespace: str) -> float | None:
    """When the newest record was stored that the history knows of; None where it knows nothing."""
    chosen = select(func.max(POSITIONS.c.at)).where(POSITIONS.c.namespace == namespace)
    with database.reading() as connection:
        at: float | None = connection.execute(chosen).scalar_one()
        return at
