"""What all drivers do: own a log, fold it, and carry out what its machine commands, until the end or a successor.

A driver is a coroutine, not a slot: a worker drives thousands of runs, and no number of runs starves the tasks.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable

from nflow.bus.port import Guard, Job, Record
from nflow.core.commands import Command
from nflow.core.events import Event, OwnerChanged
from nflow.core.ids import DagId, RunId
from nflow.engine.engine import Engine
from nflow.engine.log import Follower, OwnLog, damaged, events_of
from nflow.engine.ownership import NotOwner, still_owner, take_ownership
from nflow.errors import Fenced

_log = logging.getLogger(__name__)


class Driver(ABC):
    """Drives one log. Subclasses know the machine and how to carry out its commands."""

    def __init__(self, engine: Engine, job: Job, run: RunId, dag: DagId | None) -> None:
        self.engine = engine
        self.job = job
        self.run = run
        self.dag = dag
        self.live = False  #: the log has been folded: commands are carried out
        self.ending = False  #: only the last records are still to be written: not worth a successor
        self.follower: Follower
        self._owner: Guard | None = None
        self._server_ahead = 0.0  # of this loop's clock
        self._own: OwnLog | None = None
        self._works: set[asyncio.Task[None]] = set()
        self._look: asyncio.Task[None] | None = None  #: at who owns the log
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def drive(self) -> None:
        """Drive to the end, then remove the job.

        Raises:
            NotOwner: another worker drives this log.
            Fenced: another worker has taken it over; this one stood down.
        """
        if not self.engine.holdings.add(self.job, still_mine=self._still_mine, stand_down=self._stand_down):
            raise NotOwner
        if self.job.deliveries > 1 and await self._is_over():
            await self._let_go()
            return
        subjects = self.engine.subjects
        self._owner = await take_ownership(
            self.engine.bus, self.job, subjects.owner(self.run, self.dag), self.engine.holdings, self._has_ended
        )
        self._own = OwnLog(self.engine.bus, subjects.own(self.run, self.dag), self._owner, self._on_unwritten)
        await self._prepare()
        self.follower = Follower(self.engine.bus, subjects.log(self.run, self.dag), self._on_record)
        try:
            await self._follow_to_the_end(self._owner)
        finally:
            self.live = False
            self.engine.reconciler.discard(self.follower.check)
            self.follower.close()
            self._own.close()
            for work in self._works:
                work.cancel()
        await self._let_go()

    @property
    def guard(self) -> Guard:
        """The condition of all that only the owner may write."""
        assert self._owner is not None
        return self._owner

    def record(self, events: Iterable[Event]) -> None:
        """Append to the log as its owner, soon."""
        assert self._own is not None
        self._own.append(list(events))

    async def recorded(self) -> None:
        """Return when all that was recorded is stored."""
        assert self._own is not None
        await self._own.written()

    def act(self, commands: list[Command]) -> None:
        """Carry out these commands; but first look who owns the log, if somebody else may by now.

        Not all that commands lead to is fenced: a job is stored whoever sends it.
        """
        if self._look is not None and not self._look.done():
            return  # when that is over, all that is outstanding is carried out: these would be so twice
        if self.job.is_leased:
            self._perform(commands)
        else:
            self._look = self.spawn(self._act_as_owner())

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Do this beside everything else; should it fail, so does the driver."""
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._on_work_done)
        return task

    def now(self) -> float:
        """The time by the server's clock, which dates the records; as well as its last record of ours tells."""
        return asyncio.get_running_loop().time() + self._server_ahead

    def end(self) -> None:
        """All is done."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def _is_over(self) -> bool:
        """Whether a job that comes once more has nothing left to do; becoming the owner would disturb a later one."""
        return False

    @abstractmethod
    async def _has_ended(self, owner: int) -> bool:
        """Whether the owner of that sequence has recorded the end, after which this job begins it again."""

    @abstractmethod
    async def _prepare(self) -> None:
        """Make the machine."""

    @abstractmethod
    def _apply(self, event: Event, record: Record) -> list[Command]:
        """Take an event into the machine."""

    @abstractmethod
    def _outstanding(self) -> list[Command]:
        """What is to be done, once the log has been folded."""

    @abstractmethod
    def _perform(self, commands: list[Command]) -> None:
        """See to it that these are carried out."""

    async def _look_up(self) -> None:  # noqa: B027 - not every machine lets go of what it may need
        """Read once more what the fold has let go, and needs."""

    async def _let_go(self) -> None:
        await self.job.ack()
        self.engine.holdings.discard(self.job)

    async def _follow_to_the_end(self, owner: Guard) -> None:
        await self.follower.start()
        await self.follower.reach(owner.seq)
        if not self._ended.done():  # what was read may have ended it
            await self._look_up()
        if not self._ended.done():
            self.engine.reconciler.add(self.follower.check)
            self.live = True
            self._perform(self._outstanding())
        await self._ended

    def _on_record(self, record: Record) -> None:
        try:
            self._take(record)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this driver and not the bus that brought the record
            self._fail(error)

    def _take(self, record: Record) -> None:
        for event in events_of(record):
            if isinstance(event, OwnerChanged):
                self._note_owner(record)
                continue
            commands = self._fold(event, record)
            if self.live and commands:
                self.act(commands)

    def _fold(self, event: Event, record: Record) -> list[Command]:
        try:
            return self._apply(event, record)
        except Exception as error:
            raise damaged(record, error) from error

    def _note_owner(self, record: Record) -> None:
        assert self._owner is not None
        self._server_ahead = record.at - asyncio.get_running_loop().time()
        if record.seq > self._owner.seq:
            self._stand_down()

    async def _act_as_owner(self) -> None:
        if not await self._still_mine():
            self._stand_down()
            return
        await self.recorded()
        await self.follower.complete()  # or what is on its way would be recorded once more
        if self.live:
            self._perform(self._outstanding())

    async def _still_mine(self) -> bool:
        return self._owner is None or await still_owner(self.engine.bus, self._owner)

    def _on_work_done(self, work: asyncio.Task[None]) -> None:
        self._works.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            self._on_unwritten(error)

    def _on_unwritten(self, error: BaseException) -> None:
        if isinstance(error, Fenced):
            self._stand_down()
        else:
            self._fail(error)

    def _stand_down(self) -> None:
        """A successor drives this log: touch the job no more, and end."""
        self.job.drop()
        self.engine.holdings.discard(self.job)
        self._fail(Fenced(f"Run {self.run}, {self.dag or 'workflow'}: another worker drives it now."))

    def _fail(self, error: BaseException) -> None:
        self.live = False
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # seen: a driver that is being cancelled does not look at it any more
