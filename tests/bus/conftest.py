"""The three worlds in which the same contract holds: in memory, on one server, on a cluster of three."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Generic, Protocol, TypeVar

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.nats import NatsBus, connect
from nflow.bus.port import Bus, Job, JobQueue, Record
from tests.servers import Server, cluster

_numbers = itertools.count()

PATIENCE = 20.0

T = TypeVar("T")


class World(Protocol):
    """Where a test takes place."""

    async def connect(self) -> Bus:
        """One more client."""

    async def until(self, event: asyncio.Event) -> None:
        """Return when it is set; time passes meanwhile, but never for ever."""

    async def tick(self) -> None:
        """Let what is stored from here on be later than what is there."""

    def time(self) -> float:
        """Seconds on this world's clock."""


class MemoryWorld:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = MemoryServer(self.clock)

    async def connect(self) -> MemoryBus:
        return MemoryBus(self.server)

    async def until(self, event: asyncio.Event) -> None:
        for _ in range(int(PATIENCE * 10)):
            if event.is_set():
                return
            await self.clock.advance(0.1)
        raise TimeoutError("it never came")

    async def tick(self) -> None:
        await self.clock.advance(0.1)

    def time(self) -> float:
        return self.clock.time()

    async def close(self) -> None:
        await self.server.close()


class NatsWorld:
    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.buses: list[NatsBus] = []

    async def connect(self, **options: object) -> NatsBus:
        urls = [server.url for server in self.servers]
        replicas = min(3, len(urls))
        bus = await connect(urls, token=self.servers[0].token, replicas=replicas, **options)  # type: ignore[arg-type]
        self.buses.append(bus)
        return bus

    async def until(self, event: asyncio.Event) -> None:
        async with asyncio.timeout(PATIENCE):
            await event.wait()

    async def tick(self) -> None:
        """Its clock goes by itself."""

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


@pytest.fixture(scope="session")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    server = Server(tmp_path_factory.mktemp("one")).start()
    yield [server]
    server.kill()


@pytest.fixture(scope="session")
def three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    servers = cluster(tmp_path_factory.mktemp("three"))
    yield servers
    for server in servers:
        server.kill()


@pytest.fixture(params=["memory", "one_server", pytest.param("three_servers", marks=pytest.mark.slow)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = MemoryWorld() if request.param == "memory" else NatsWorld(request.getfixturevalue(request.param))
    yield world
    await world.close()


@pytest.fixture
async def bus(world: World) -> Bus:
    return await world.connect()


@pytest.fixture
async def other(world: World) -> Bus:
    """A second client of the same server."""
    return await world.connect()


@pytest.fixture
def run() -> str:
    """A run that no other test has written to."""
    return f"run{next(_numbers)}"


@pytest.fixture
def queue(run: str) -> JobQueue:
    return JobQueue(name=f"task_{run}", subject=f"nflow.job.task.{run}.>")


class Collected(Generic[T]):
    """What was called back, and an event for when it is enough."""

    def __init__(self, enough: int = 1) -> None:
        self.items: list[T] = []
        self._enough = enough
        self.complete = asyncio.Event()

    def __call__(self, item: T) -> None:
        self.items.append(item)
        if len(self.items) >= self._enough:
            self.complete.set()


@pytest.fixture
def jobs() -> type[Collected[Job]]:
    return Collected[Job]


@pytest.fixture
def records() -> type[Collected[Record]]:
    return Collected[Record]
