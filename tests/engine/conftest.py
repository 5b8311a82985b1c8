"""Buses in memory whose writes, reads and pushes a test can hold up, and engines on them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.port import Guard, Job, JobQueue, Page, Record, Subscription
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.store.kv import KvStore

Hook = Callable[[str], Awaitable[None]]


async def _pass(subject: str) -> None:
    pass


class StageBus(MemoryBus):
    """A bus on which a test decides when a write or a read goes through, and keeps pushes back at will."""

    def __init__(self, server: MemoryServer, **options: Any) -> None:
        super().__init__(server, **options)
        self.before_append: Hook = _pass
        self.before_purge: Hook = _pass
        self.before_read: Hook = _pass
        self.pushes: list[Callable[[], None]] | None = None  #: where they are kept back, if they are
        self.appending = self.most_appending = 0

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        self.appending += 1
        self.most_appending = max(self.most_appending, self.appending)
        try:
            await self.before_append(subject)
            return await super().append(subject, payload, expect=expect, guard=guard, ttl=ttl)
        finally:
            self.appending -= 1

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        await self.before_read(subject)
        return await super().read(subject, after=after, limit=limit)

    async def purge(self, subject: str, *, through: int | None = None) -> None:
        await self.before_purge(subject)
        await super().purge(subject, through=through)

    def watch(self, subject: str, on_record: Callable[[Record], None]) -> Subscription:
        def push(record: Record) -> None:
            if self.pushes is None:
                on_record(record)
            else:
                self.pushes.append(lambda: on_record(record))

        return super().watch(subject, push)


async def settle() -> None:
    """Let everybody run who can."""
    for _ in range(60):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def server(clock: VirtualClock) -> AsyncIterator[MemoryServer]:
    server = MemoryServer(clock)
    yield server
    await server.close()


@pytest.fixture
def bus(server: MemoryServer) -> StageBus:
    return StageBus(server)


@pytest.fixture
def other(server: MemoryServer) -> StageBus:
    """A second client of the same server."""
    return StageBus(server)


@pytest.fixture
async def engine_of() -> AsyncIterator[Callable[..., Engine]]:
    """Makes the engine of one more process."""
    engines: list[Engine] = []

    def make(bus: StageBus, worker: str) -> Engine:
        engines.append(Engine(bus, WorkerId(worker), KvStore(bus)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(engine_of: Callable[..., Engine], bus: StageBus) -> Engine:
    return engine_of(bus, "me")


@pytest.fixture
def other_engine(engine_of: Callable[..., Engine], other: StageBus) -> Engine:
    return engine_of(other, "other")


class Taken:
    """Jobs that a bus has taken from a queue."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def open(self, bus: StageBus, subject: str) -> "Taken":
        (await bus.take(JobQueue(name="q", subject=subject), self.jobs.append)).want(100)
        await settle()
        return self


@pytest.fixture
async def taken(bus: StageBus) -> Taken:
    """All that `bus` takes."""
    return await Taken().open(bus, "nflow.job.task.q.py.5.>")


@pytest.fixture
async def job(bus: StageBus, taken: Taken) -> Job:
    """A job in the hands of this worker."""
    await bus.enqueue("nflow.job.task.q.py.5.r.d.t.1", b"job")
    await settle()
    return taken.jobs[0]
