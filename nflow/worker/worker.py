"""A worker: takes jobs from its queues, drives runs in coroutines and runs tasks in slots."""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from nflow._version import __version__
from nflow.bus.port import Intake, Job, JobQueue
from nflow.core.ids import WorkerId
from nflow.engine.claims import Claimer
from nflow.engine.engine import Engine
from nflow.engine.specs import code_cache
from nflow.engine.upkeep.forgotten import Reminder
from nflow.engine.upkeep.sweep import Sweeper
from nflow.programs.strays import end_strays
from nflow.wire.python import python_tag
from nflow.wire.subjects import ANY_PYTHON
from nflow.worker.driving import Driving
from nflow.worker.duties import Duties
from nflow.worker.executing import Executing
from nflow.worker.files import allow_open_files
from nflow.worker.heartbeat import FAREWELL, Heartbeat
from nflow.worker.load import Gauge
from nflow.worker.means import Means
from nflow.worker.memory import OomKills
from nflow.worker.pool import MOST_LENT, Pool
from nflow.worker.process import Spawned, spawn, start_slot
from nflow.worker.runwatches import RunWatches
from nflow.worker.slot import Slot

#: The kinds of jobs that drivers take; any Python may drive.
_DRIVEN = ("workflow", "dag")


class Worker:
    """Works until it is drained."""

    def __init__(
        self,
        engine: Engine,
        duties: Duties,
        spawned: Iterable[Spawned] = (),
        start_slot: Callable[[], Awaitable[Slot]] | None = None,
    ) -> None:
        """Make a worker that takes no work before it is started.

        Args:
            engine: What its drivers share.
            duties: What it is to do.
            spawned: Processes for its slots that were started before there was a worker; it keeps them.
            start_slot: Makes the slots; by default each is a process of its own.
        """
        self._engine = engine
        self._duties = duties
        self._spawned = list(spawned)
        self._oom_kills = OomKills()
        self._pool = Pool(
            duties.slots,
            start_slot or self._start_process,
            tasks_per_slot=duties.tasks_per_slot,
            recycle_memory=duties.recycle_memory,
        )
        self._watches = RunWatches(engine)
        host = platform.node()
        self._executing = Executing(
            Means(
                engine=engine,
                pool=self._pool,
                claimer=Claimer(engine, host),
                code=code_cache(engine.blobs),
                watches=self._watches,
                host=host,
                kill_after=duties.kill_after,
                **({} if start_slot else {"end_strays": _end_strays}),
            )
        )
        self._driving = {kind: Driving(engine) for kind in _DRIVEN}
        self._sweeper = None if duties.retention is None else Sweeper(engine, duties.retention)
        self._reminder = Reminder(engine) if duties.reminds else None
        self._heartbeat = Heartbeat(
            engine, duties, lambda: (self.tasks, self.drives), __version__, Gauge(self._pool).load
        )

    @property
    def id(self) -> WorkerId:
        """This life of the worker."""
        return self._engine.holdings.worker

    @property
    def tasks(self) -> int:
        """Tasks that were taken and have not ended."""
        return len(self._executing)

    @property
    def drives(self) -> int:
        """Runs and dag runs that are driven here."""
        return sum(map(len, self._driving.values()))

    async def start(self) -> None:
        """Take work from all queues."""
        await self._engine.blobs.check()
        allow_open_files(self._duties.slots + MOST_LENT)
        openings = [
            self._open(kind, name, ANY_PYTHON, driving.on_job, driving.add)
            for name in self._duties.queues
            for kind, driving in self._driving.items()
        ]
        openings += [
            self._open("task", name, python_tag(), self._executing.on_job, self._executing.add)
            for name in self._duties.queues
        ]
        if self._duties.expects_tasks:
            openings.append(self._pool.warm_up())
        await asyncio.gather(*openings)
        if self._duties.listed:
            self._heartbeat.start()
        if self._sweeper is not None:
            self._sweeper.start()
        if self._reminder is not None:
            self._reminder.start()

    async def drain(self) -> None:
        """Take no more, hand back what is only driven here, and return when the last task has ended."""
        self._executing.stop_taking()
        await asyncio.gather(*(driving.hand_back() for driving in self._driving.values()))
        await self._executing.drain()

    def stop(self) -> None:
        """End the tasks that run here and hand them back: other workers begin them again."""
        self._executing.stop()

    async def leave(self) -> None:
        """Hand back everything at once."""
        self.stop()
        await self.drain()

    async def close(self) -> None:
        """Let go of everything; what still runs is killed, and another worker will find out."""
        for driving in self._driving.values():
            driving.close()
        self._executing.close()
        self._watches.close()
        self._pool.close()
        with suppress(TimeoutError):  # a process that the kernel cannot end holds up nobody
            async with asyncio.timeout(FAREWELL):
                await self._executing.drain()
                await self._pool.ended()
        for spawned in self._spawned:
            spawned.discard()
        if self._sweeper is not None:
            await self._sweeper.close()
        if self._reminder is not None:
            self._reminder.close()
        await self._heartbeat.close()
        await self._engine.cache.close()

    async def _open(
        self, kind: str, name: str, python: str, on_job: Callable[[Job], None], add: Callable[[Intake], None]
    ) -> None:
        address = self._engine.subjects.queue(kind, name, python)
        add(await self._engine.bus.take(JobQueue(address.name, address.subject), on_job))

    async def _start_process(self) -> Slot:
        duties = self._duties
        spawned = self._spawned.pop() if self._spawned else spawn(duties.environment, duties.slot_memory)
        return await start_slot(self._engine.bus.post_record, spawned, self._oom_kills, duties.most_output)


async def _end_strays(execution: str) -> None:
    await asyncio.to_thread(end_strays, execution)  # it looks at every process there is
