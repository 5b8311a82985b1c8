"""The places where large values are kept: a bus in memory, a real server, a folder."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nflow.blobs.files import FileBlobs
from nflow.blobs.jetstream import JetStreamBlobs
from nflow.blobs.port import BlobStore
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.nats import connect
from nflow.bus.port import Guard, Page
from nflow.core.dataset import BLOB, FILE, Ref
from nflow.core.ids import RunId
from nflow.wire.digest import digest_of_parts
from nflow.wire.subjects import Subjects
from nflow.wire.values import Data
from tests.servers import Server

_numbers = itertools.count()

Hook = Callable[[str], Awaitable[None]]


async def _pass(subject: str) -> None:
    pass


class StageBus(MemoryBus):
    """A bus on which a test decides when a write goes through, and sees what is read."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(server)
        self.before_append: Hook = _pass
        self.appending = self.most_appending = 0
        self.stored = 0
        self.pages: list[int] = []  #: the numbers of records that were asked for

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
            self.stored += 1
            return await super().append(subject, payload, expect=expect, guard=guard, ttl=ttl)
        finally:
            self.appending -= 1

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        self.pages.append(limit)
        return await super().read(subject, after=after, limit=limit)


class Place:
    """Where values are kept, and how a test can harm them."""

    def __init__(self, store: BlobStore, scheme: str) -> None:
        self.store = store
        self._scheme = scheme

    async def put(self, run: RunId, data: Data, *, size: int = 100_000) -> Ref:
        """Store a value in pieces of this size."""
        where = await self.store.put(run, pieces_of(data, size))
        return Ref(scheme=self._scheme, where=where, size_bytes=len(data), digest=digest_of_parts([data]), type="bytes")

    async def get(self, ref: Ref) -> bytes:
        return b"".join([bytes(piece) async for piece in self.store.get(ref)])

    async def lose(self, ref: Ref) -> None:
        """Let some of it be gone."""
        raise NotImplementedError


class BusPlace(Place):
    def __init__(self, bus: Any) -> None:
        super().__init__(JetStreamBlobs(bus, Subjects("nflow")), BLOB)
        self.bus = bus

    async def lose(self, ref: Ref) -> None:
        await self.bus.purge(f"{ref.where}.1")


class FolderPlace(Place):
    def __init__(self, folder: Path) -> None:
        super().__init__(FileBlobs(folder), FILE)
        self.folder = folder

    async def lose(self, ref: Ref) -> None:
        path = self.folder / str(ref.where)
        path.write_bytes(path.read_bytes()[:-1])


async def pieces_of(data: Data, size: int) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), size):
        yield view[start : start + size]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("blobs")).start()
    yield server
    server.kill()


@pytest.fixture
async def in_memory() -> AsyncIterator[BusPlace]:
    server = MemoryServer()
    yield BusPlace(StageBus(server))
    await server.close()


@pytest.fixture
async def on_server(server: Server) -> AsyncIterator[BusPlace]:
    bus = await connect(server.url, token=server.token)
    yield BusPlace(bus)
    await bus.close()


@pytest.fixture
def in_folder(tmp_path: Path) -> FolderPlace:
    return FolderPlace(tmp_path)


@pytest.fixture(params=["in_memory", "on_server", "in_folder"])
def place(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(request.param)
    return place


@pytest.fixture
def run() -> RunId:
    """A run that no other test has stored for."""
    return RunId(f"run{next(_numbers)}")


def data_of(size: int) -> bytes:
    """Bytes of which no two stretches look the same."""
    return b"".join(number.to_bytes(4, "little") for number in range(size // 4 + 1))[:size]
