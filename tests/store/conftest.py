"""The store on the in-memory bus and on a real server."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.nats import connect
from nflow.bus.port import Bus
from nflow.store.kv import KvStore
from tests.servers import Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("store")).start()
    yield server
    server.kill()


@pytest.fixture(params=["memory", "server"])
async def buses(request: pytest.FixtureRequest) -> AsyncIterator[list[Bus]]:
    """Two clients of one server."""
    if request.param == "memory":
        memory = MemoryServer()
        yield [MemoryBus(memory), MemoryBus(memory)]
        await memory.close()
        return
    server = request.getfixturevalue("nats_server")
    opened = [await connect(server.url, token=server.token) for _ in range(2)]
    yield list(opened)
    for bus in opened:
        await bus.close()


@pytest.fixture
def stores(buses: list[Bus]) -> list[KvStore]:
    return [KvStore(bus) for bus in buses]


@pytest.fixture
def store(stores: list[KvStore]) -> KvStore:
    return stores[0]


@pytest.fixture
def run() -> str:
    """A run that no other test has written to."""
    return f"run{next(_numbers)}"
