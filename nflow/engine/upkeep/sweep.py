"""What is over goes: data that nobody will ask for, histories that are old, code that no run names any more.

Any worker sweeps, one at a time. Runs that go on are not touched, whatever their age: what counts is the log and the
job of a run, never the index. All ages are by the server's clock. A sweep that is cut short leaves nothing half done
that the next one would not finish.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from nflow.bus.clock import SystemClock
from nflow.bus.paging import all_records
from nflow.bus.port import Clock
from nflow.core.events import RunFinished, RunStarted
from nflow.core.ids import RunId
from nflow.core.jobs import WorkflowJob
from nflow.engine.blobs import YOUNG
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.engine.runs import RunEntry
from nflow.errors import BlobLost, Conflict, MessageError, NflowError
from nflow.wire.messages import unpack_events, unpack_job, unpack_spec
from nflow.wire.subjects import job_place, name_of

_log = logging.getLogger(__name__)

DAY = 24 * 3600.0

#: Seconds between two sweeps.
EVERY = 3600.0

#: For so long nobody else sweeps: a little less, for the clocks of workers are not those of the server.
_HELD = EVERY - 60.0

#: Seconds that a worker takes to let others sweep.
_FAREWELL = 1.0

#: Where the name of a run stands in subjects of blobs, logs and the store; behind it, the digest of code.
_RUN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many seconds runs are kept that have ended."""

    failed: float = 7 * DAY  #: the data of those that failed, were stopped, or were to keep them
    history: float = 30 * DAY  #: what happened in them: events, lines, their place in the index


@dataclass(slots=True, kw_only=True)
class Swept:
    """What a sweep has removed."""

    data: int = 0  #: of so many runs
    histories: int = 0
    leftovers: int = 0  #: of runs that never began
    code: int = 0  #: pieces of code and specs

    def __str__(self) -> str:
        told = {
            "data of ended runs": self.data,
            "histories": self.histories,
            "data of runs that never began": self.leftovers,
            "pieces of code": self.code,
        }
        return ", ".join(f"{what}: {count}" for what, count in told.items() if count)


class Sweeper:
    """Sweeps soon after a worker's start and then from time to time, unless another worker has just done it."""

    def __init__(self, engine: Engine, retention: Retention, clock: Clock | None = None) -> None:
        self._engine = engine
        self._retention = retention
        self._clock = clock or SystemClock()
        self._ticking: asyncio.Task[None] | None = None
        self._is_sweeping = False

    def start(self) -> None:
        """Begin."""
        self._ticking = asyncio.ensure_future(self._tick_for_ever())

    async def close(self) -> None:
        """End; should a sweep be cut short by it, let others begin one at once."""
        if self._ticking is None:
            return
        was_sweeping = self._is_sweeping
        self._ticking.cancel()
        if was_sweeping:
            with suppress(TimeoutError, NflowError):  # without a server, the mark vanishes by itself
                async with asyncio.timeout(_FAREWELL):
                    await self._engine.bus.purge(self._engine.subjects.sweep())

    async def tick(self) -> Swept | None:
        """Sweep, unless somebody did not long ago; what was removed."""
        bus, mark = self._engine.bus, self._engine.subjects.sweep()
        try:
            await bus.append(mark, b"", expect=0, ttl=_HELD)
        except Conflict:
            return None
        self._is_sweeping = True
        try:
            record = await bus.last(mark)
            return None if record is None else await Sweep(self._engine, self._retention, record.at).run()
        finally:
            self._is_sweeping = False

    async def _tick_for_ever(self) -> None:
        while True:
            try:
                if swept := str(await self.tick() or ""):
                    _log.info("swept: %s", swept)
            except (NflowError, OSError) as error:
                _log.warning("nothing more is swept for now: %s", error)
            await self._clock.sleep(EVERY)  # a clock, not a wait


class Sweep:
    """One sweep, at one time."""

    def __init__(self, engine: Engine, retention: Retention, now: float) -> None:
        self._engine = engine
        self._subjects = engine.subjects
        self._retention = retention
        self._now = now
        self._swept = Swept()
        self._specs: set[str | None] = set()  #: of runs that go on; None where a job cannot be read
        self._kept: list[RunId] = []  #: ended ones that have their data, and may be begun again

    async def run(self) -> Swept:
        """Remove all that is due; what that was."""
        going_on = await self._going_on()
        entries = {entry.run: entry for entry in await self._engine.index.all()}
        logged = await self._runs_in(self._subjects.owns())
        holding = await self._runs_in(self._subjects.blobs())
        holding |= await self._runs_in(self._subjects.kv_under("store"))
        # A database may have runs of other servers: they are none of this one's.
        holding |= await self._engine.store.runs() & (logged | set(entries))
        for run in sorted((logged | holding | set(entries)) - going_on):
            entry = entries.get(run)
            holds = run in holding or (entry is not None and entry.keeps_data)
            if run not in logged:
                await self._look_at_nothing(run, entry, holds=run in holding)
            elif not self._is_young(entry, holds=holds):
                await self._look_at(run, entry, holds=holds)
            elif holds:
                self._kept.append(run)
        await self._sweep_code()
        return self._swept

    # --- runs ---

    async def _going_on(self) -> set[RunId]:
        """The runs that some job in a queue, or in the hands of a worker, is to drive."""
        found: set[RunId] = set()
        async for record in all_records(self._engine.bus, self._subjects.workflow_jobs()):
            found.add(RunId(str(name_of(job_place(record.subject).run))))
            self._specs.add(_spec_of(record.payload))
        return found

    async def _runs_in(self, subject: str) -> set[RunId]:
        heads = await self._engine.bus.heads(subject, _RUN + 1)
        names = (name_of(head.split(".")[_RUN]) for head in heads)
        return {RunId(name) for name in names if name is not None}

    def _is_young(self, entry: RunEntry | None, *, holds: bool) -> bool:
        """Whether the index says that nothing of this run is due: most logs need not be looked at."""
        if entry is None or entry.is_active or entry.ended is None:
            return False
        return self._now - entry.ended <= (self._data_age(entry) if holds else self._retention.history)

    def _data_age(self, entry: RunEntry | None) -> float:
        """When the data of an ended run are due; those of one whose data went were left by a task that came late."""
        return YOUNG if entry is not None and not entry.keeps_data else self._retention.failed

    async def _look_at(self, run: RunId, entry: RunEntry | None, *, holds: bool) -> None:
        """Remove what is due of a run that was begun, should it have ended."""
        ended = await self._end_of(run)
        age = 0.0 if ended is None else self._now - ended
        if age > self._retention.history and await self._is_idle(run):
            await self._forget(run)
        elif holds and age > self._data_age(entry) and await self._is_idle(run):
            await self._drop(run)
            self._swept.data += 1
        elif holds or ended is None:
            self._kept.append(run)

    async def _look_at_nothing(self, run: RunId, entry: RunEntry | None, *, holds: bool) -> None:
        """Remove what a run has left that never began: whoever submitted it may have died before it was stored."""
        if holds and await self._has_been_left(run) and await self._is_idle(run):
            await self._drop(run)
            self._swept.leftovers += 1
        if entry is not None and self._now - entry.submitted > self._retention.history and await self._is_idle(run):
            await self._engine.index.remove(run)

    async def _end_of(self, run: RunId) -> float | None:
        """When a run ended, by its log; None if it did not, or if a newer nflow wrote that."""
        record = await self._engine.bus.last(self._subjects.own(run))
        with suppress(MessageError):
            if record is not None and isinstance(unpack_events(record.payload)[-1], RunFinished):
                return record.at
        return None

    async def _has_been_left(self, run: RunId) -> bool:
        """Whether all that it has is old: an upload that goes on for a day would be a long one."""
        for subject in (self._subjects.blobs_of(run), self._subjects.stored(run)):
            page = await self._engine.bus.read(subject, limit=1)
            if any(self._now - record.at <= YOUNG for record in page.records):
                return False
        return True

    async def _is_idle(self, run: RunId) -> bool:
        """Whether there is, still, no job to drive it."""
        return not (await self._engine.bus.read(self._subjects.workflow_jobs(run), limit=1)).records

    async def _drop(self, run: RunId) -> None:
        await self._engine.store.drop(run)
        await self._engine.blobs.drop(run)
        await self._engine.index.note_dropped(run, "after its retention (retention.failed)")

    async def _forget(self, run: RunId) -> None:
        """Remove all of a run; the log last, by which the next sweep finds what this one was cut off from."""
        await self._engine.store.drop(run)
        await self._engine.blobs.drop(run)
        await self._engine.bus.purge(self._subjects.lines_of(run))
        await self._engine.bus.purge(self._subjects.dead_of(run))
        await self._engine.index.remove(run)
        await self._engine.bus.purge(self._subjects.run_events(run))
        self._swept.histories += 1

    # --- code ---

    async def _sweep_code(self) -> None:
        """Remove code and specs that no run names which goes on, or has its data.

        Whoever submits stores old code anew, behind the mark: that copy stays, though the older one goes.
        """
        if None in self._specs:
            return
        mark = await self._engine.bus.append(self._subjects.swept_blobs(), b"")
        heads = await self._engine.bus.heads(self._subjects.codes(), _RUN + 2)
        names = {head.split(".")[_RUN + 1] for head in heads}
        old = {name for name in names if await self._is_old(name)}
        with suppress(MessageError):  # a newer nflow wrote what names it: that one may sweep it
            for name in sorted(old - await self._named()) if old else ():
                await self._engine.bus.purge(self._subjects.chunks(self._subjects.code(name)), through=mark)
                self._swept.code += 1
        await self._engine.bus.purge(self._subjects.swept_blobs())

    async def _is_old(self, name: str) -> bool:
        chunks = self._subjects.chunks(self._subjects.code(name))
        first = await self._engine.bus.last(self._subjects.blob(self._subjects.code(name), 0))
        found = [first] if first is not None else (await self._engine.bus.read(chunks, limit=1)).records
        return all(self._now - record.at > YOUNG for record in found)

    async def _named(self) -> set[str]:
        """Digests of all that is still needed."""
        specs = {spec for spec in self._specs if spec}
        for run in self._kept:
            page = await self._engine.bus.read(self._subjects.own(run), limit=1)
            events = [event for record in page.records for event in readable(record)]
            specs |= {event.spec for event in events if isinstance(event, RunStarted)}
        named = set(specs)
        for spec in specs:
            with suppress(BlobLost):  # whatever it named, nobody can know it any more
                named |= await self._code_of(spec)
        return named

    async def _code_of(self, spec: str) -> set[str]:
        packed = await self._engine.blobs.get_code(spec)
        dags = (await asyncio.to_thread(unpack_spec, packed)).dags.values()
        return {task.code for dag in dags for task in dag.tasks}


def _spec_of(payload: bytes) -> str | None:
    try:
        job = unpack_job(payload)
    except MessageError:
        return None
    return job.spec if isinstance(job, WorkflowJob) else None
