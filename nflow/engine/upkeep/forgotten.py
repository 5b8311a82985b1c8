"""Jobs that the server has forgotten: it has them, and will never deliver them again.

A server that is killed just after it stored something may come back with a queue that takes a job for done which is
still there. Its own counts tell: of the jobs up to the last one that was delivered, more are stored than are in hand.
Those that no worker says it holds are stored once more. That does no harm where it was not needed: work is claimed
before it is done, so that a job that is there twice is done once.
"""

import asyncio
import logging
from contextlib import suppress

from nflow.bus.clock import SystemClock
from nflow.bus.paging import all_records
from nflow.bus.port import LEASE, Clock, QueueState, Record
from nflow.core.events import TaskStarted
from nflow.core.ids import WorkerId
from nflow.core.jobs import DagJob, TaskJob, WorkflowJob
from nflow.engine.engine import Engine
from nflow.engine.log import readable
from nflow.engine.ownership import owner_in
from nflow.errors import Conflict, MessageError, NflowError
from nflow.wire.messages import unpack_job

_log = logging.getLogger(__name__)

#: Seconds between two looks, of all workers together.
EVERY = 15.0

#: Jobs whose holders are asked at once.
_AT_ONCE = 100


class Reminder:
    """Looks for forgotten jobs from time to time, unless another worker has just done it."""

    def __init__(self, engine: Engine, *, every: float = EVERY, clock: Clock | None = None) -> None:
        self._engine = engine
        self._every = every
        self._clock = clock or SystemClock()
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._ticking = asyncio.ensure_future(self._tick_for_ever())

    def close(self) -> None:
        """End."""
        if self._ticking is not None:
            self._ticking.cancel()

    async def tick(self) -> int:
        """Look, unless somebody did a moment ago; how many jobs were stored once more."""
        try:
            await self._engine.bus.append(self._engine.subjects.reminder(), b"", expect=0, ttl=max(1.0, self._every))
        except Conflict:
            return 0
        suspects = await self._suspects()
        if not suspects:
            return 0
        await self._clock.sleep(LEASE)  # what was just given out, or just done, looks different by then
        again = await self._suspects()
        reminded = 0
        seqs = sorted(suspects.keys() & again.keys())
        for start in range(0, len(seqs), _AT_ONCE):
            portion = [again[seq] for seq in seqs[start : start + _AT_ONCE]]
            reminded += sum(await asyncio.gather(*map(self._remind, portion)))
        return reminded

    async def _suspects(self) -> dict[int, Record]:
        """The jobs among which some are in nobody's hands, by sequence."""
        found = [await self._unaccounted(state) for state in await self._engine.bus.queues()]
        return {record.seq: record for records in found for record in records}

    async def _unaccounted(self, state: QueueState) -> list[Record]:
        """What was delivered from a queue and is still stored, if that is more than is in hand."""
        # Asked after the state of the queue: what was done since is not there any more, and hides nothing.
        page = await self._engine.bus.read(state.queue.subject, limit=1)
        if len(page.records) + page.pending <= state.waiting + state.in_hand:  # so it is, as a rule
            return []
        delivered: list[Record] = []
        async for record in all_records(self._engine.bus, state.queue.subject):
            if record.seq > state.delivered:
                break
            delivered.append(record)
        return delivered if len(delivered) > state.in_hand else []

    async def _remind(self, record: Record) -> bool:
        """Store a job once more, unless somebody holds it."""
        holder = await self._holder(record)
        if holder is not None and await self._engine.holdings.is_held(record.subject, holder):
            return False
        with suppress(Conflict):  # it was withdrawn meanwhile, or was stored once more already
            await self._engine.bus.append(record.subject, record.payload, expect=record.seq)
            _log.warning("the server had forgotten a job, which was stored once more: %s", record.subject)
        await self._engine.bus.purge(record.subject, through=record.seq)
        return True

    async def _holder(self, record: Record) -> WorkerId | None:
        """Who, by the log, does what this job asks for."""
        bus, subjects = self._engine.bus, self._engine.subjects
        with suppress(MessageError):
            match unpack_job(record.payload):
                case WorkflowJob(run=run):
                    owner = await bus.last(subjects.owner(run))
                case DagJob(run=run, dag=dag):
                    owner = await bus.last(subjects.owner(run, dag))
                case TaskJob(run=run, dag=dag, task=task):
                    last = await bus.last(subjects.task(run, dag, task))
                    match readable(last) if last else []:
                        case [*_, TaskStarted(worker=worker)]:
                            return worker
                    return None
            return None if owner is None else owner_in(owner).worker
        return None

    async def _tick_for_ever(self) -> None:
        while True:
            await self._clock.sleep(self._every)  # a clock, not a wait
            try:
                await self.tick()
            except (NflowError, OSError) as error:
                _log.warning("forgotten jobs are not looked for now: %s", error)
