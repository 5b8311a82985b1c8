"""Jobs in the hands of an in-memory client."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from nflow.bus.memory.queue import Entry, Queue
from nflow.bus.port import LEASE, Job


class Holder(Protocol):
    """What a job needs of the client that holds it."""

    def is_up(self) -> bool:
        """Whether it can be reached."""

    def alive_at(self) -> float:
        """When it could last renew a lease: now, or when it was cut off."""

    def now(self) -> float:
        """What its clock shows."""

    def post(self, action: Callable[[], None]) -> None:
        """Do it now, or when the connection is back."""

    def in_hand(self) -> "dict[MemoryJob, None]":
        """The jobs whose lease is renewed, in the order of their coming."""


class MemoryJob:
    """A job in hand."""

    def __init__(self, entry: Entry, holder: Holder) -> None:
        self.subject = entry.record.subject
        self.payload = entry.record.payload
        self.deliveries = entry.deliveries
        self.seq = entry.record.seq
        self._entry = entry
        self._holder = holder
        self._renewed = holder.now()
        self._on_lost: Callable[[], None] | None = None
        self._lost = False

    @property
    def is_leased(self) -> bool:
        """See the port."""
        return not self._lost and self._holder.now() - self.renewed() <= LEASE

    def hold(self, on_lost: Callable[[], None]) -> None:
        """See the port."""
        self._on_lost = on_lost
        self._holder.in_hand()[self] = None

    def resume(self) -> None:
        """See the port."""
        self._lost = False
        self._renewed = self._holder.now()

    def drop(self) -> None:
        """See the port."""
        self._renewed = self.renewed()
        self._holder.in_hand().pop(self, None)

    async def ack(self) -> None:
        """See the port."""
        self.drop()
        self._holder.post(self._entry.ack)

    async def hand_back(self, delay: float = 0.0) -> None:
        """See the port."""
        self.drop()
        self._holder.post(lambda: self._entry.hand_back(delay))

    def renewed(self) -> float:
        """When the lease was last renewed."""
        if self._lost or self not in self._holder.in_hand():
            return self._renewed
        return max(self._renewed, self._holder.alive_at())

    def lose(self) -> None:
        """The lease ran out while the holder was cut off."""
        if not self._lost and self._on_lost is not None:
            self._renewed = self.renewed()
            self._lost = True
            self._on_lost()


class MemoryIntake:
    """A flow of jobs."""

    def __init__(self, queue: Queue, holder: Holder, on_job: Callable[[Job], None]) -> None:
        self._queue = queue
        self._holder = holder
        self._on_job = on_job
        self._wanted = 0
        self._on_the_way = 0
        queue.join(self)

    def want(self, count: int) -> None:
        """See the port."""
        self._wanted = count
        self._queue.deliver()

    def close(self) -> None:
        """See the port."""
        self._wanted = 0
        self._queue.leave(self)

    def is_free(self) -> bool:
        """Whether a job may be delivered."""
        return self._wanted > self._on_the_way and self._holder.is_up()

    def give(self, entry: Entry) -> Callable[[], float]:
        """Deliver this one."""
        self._on_the_way += 1
        job = MemoryJob(entry, self._holder)
        asyncio.get_running_loop().call_soon(self._arrive, entry, job)
        return job.renewed

    def _arrive(self, entry: Entry, job: MemoryJob) -> None:
        """Hand it over, or back when it is not wanted any more: what was asked for cannot be unasked."""
        self._on_the_way -= 1
        if self._wanted > 0:
            self._wanted -= 1
            self._on_job(job)
        else:
            self._holder.post(lambda: entry.hand_back(0.0))

    def look(self) -> None:
        """The connection is back: what waited may come."""
        self._queue.deliver()
