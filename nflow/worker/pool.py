"""The slots of a worker: how many tasks run at once, and the processes they run in.

A permit is the right to run; a slot is the process. A task that waits for a sub-dag lends its permit and keeps its
process, so that joins nested deeper than there are slots still finish.
"""

import asyncio
import errno
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from nflow.errors import JoinRefused, WorkerExhausted
from nflow.worker.slot import Slot

#: What the system says to a process that has too much of something already; it passes, and is no fault of the task's.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})

#: Tasks of one worker that may wait in joins at once, each of them with its process.
MOST_LENT = 256


class Pool:
    """Hands out slots, never more at once than there are permits."""

    def __init__(
        self,
        size: int,
        start_slot: Callable[[], Awaitable[Slot]],
        *,
        tasks_per_slot: int,
        recycle_memory: int = sys.maxsize,
    ) -> None:
        """Make a pool without any process.

        Args:
            size: How many permits there are.
            start_slot: Starts a process.
            tasks_per_slot: A process is replaced by a fresh one after so many.
            recycle_memory: One that keeps more bytes than this after a task is replaced too.
        """
        self.size = size
        self._start_slot = start_slot
        self._tasks_per_slot = tasks_per_slot
        self._recycle_memory = recycle_memory
        self._free = size
        self._lent = 0
        self._idle: list[Slot] = []
        self._slots: set[Slot] = set()  # those that were started and have not ended, idle or not
        self._returning: deque[asyncio.Future[bool]] = deque()  # tasks that have waited for others, and go first
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._closed = False
        self.on_change: Callable[[], None] = lambda: None  #: called when there may be room for more, or for less

    @property
    def lent(self) -> int:
        """Tasks that wait in joins."""
        return self._lent

    @property
    def busy(self) -> int:
        """Slots in which a task runs."""
        return min(self.size - self._free, self.size)

    @property
    def slots(self) -> list[Slot]:
        """Those that were started and have not ended."""
        return [slot for slot in self._slots if not slot.ended]

    async def warm_up(self) -> None:
        """Start the processes before there is work for them."""
        started = await asyncio.gather(*(self._start() for _ in range(self.size)))
        for slot in started:
            self._put_away(slot)

    async def acquire(self, patience: float) -> Slot | None:
        """A slot to run one task in, after those who came before; None if there is none within `patience` seconds."""
        if not await self._permit(self._waiting, patience):
            return None
        try:
            while self._idle:
                slot = self._idle.pop()
                if slot.alive:
                    return slot
            return await self._start()
        except BaseException:
            self._give_permit()
            raise

    def release(self, slot: Slot) -> None:
        """The task is over."""
        self._put_away(slot)
        self._give_permit()

    @asynccontextmanager
    async def lending(self) -> AsyncIterator[None]:
        """Let another task run while this one waits for others; it goes on before tasks that have not begun.

        Raises:
            JoinRefused: too many wait already.
        """
        if self._lent >= MOST_LENT:
            raise JoinRefused(
                f"{MOST_LENT} tasks of this worker wait in join_dags already; each holds a process. "
                "Start fewer dags at once, or join them in a task of a queue that more workers serve."
            )
        self._lent += 1
        self._give_permit()
        self.on_change()
        try:
            yield
            await self._permit(self._returning)
        except BaseException:
            self._free -= 1  # it is being ended, and gives back a permit that it does not have; the next that is free
            raise
        finally:
            self._lent -= 1
            self.on_change()

    def close(self) -> None:
        """End all processes that are idle, and each other one when its task is over."""
        self._closed = True
        for slot in self._idle:
            slot.kill()
        self._idle.clear()

    async def ended(self) -> None:
        """Return when the last process has ended, a moment after its pool was closed and its task is over."""
        await asyncio.gather(*(slot.end() for slot in self._slots))

    async def _start(self) -> Slot:
        try:
            slot = await self._start_slot()
        except OSError as error:
            if error.errno not in _SHORTAGES:
                raise
            raise WorkerExhausted(
                f"This worker cannot start a process for a task: {error.strerror}. "
                "Raise its limits (ulimit -n, ulimit -u), or give it fewer slots."
            ) from error
        self._slots = {each for each in self._slots if not each.ended} | {slot}
        return slot

    async def _permit(self, line: deque[asyncio.Future[bool]], patience: float | None = None) -> bool:
        if self._free > 0:  # then nobody waits
            self._free -= 1
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        line.append(turn)
        clock = None if patience is None else loop.call_later(patience, _give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._give_permit()
            raise
        finally:
            if clock is not None:
                clock.cancel()

    def _give_permit(self) -> None:
        """Hand on a permit, or keep it: those that are owed come first."""
        while self._free >= 0 and (line := self._returning or self._waiting):
            turn = line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1

    def _put_away(self, slot: Slot) -> None:
        if self._closed or not slot.alive or len(self._idle) >= self.size or self._is_worn(slot):
            slot.kill()
        else:
            self._idle.append(slot)

    def _is_worn(self, slot: Slot) -> bool:
        return slot.tasks_done >= self._tasks_per_slot or slot.memory_bytes > self._recycle_memory


def _give_up(turn: "asyncio.Future[bool]") -> None:
    if not turn.done():
        turn.set_result(False)
