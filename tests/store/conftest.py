"""The store on the in-memory bus, on a real nats-server, and on a real MongoDB."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.nats import connect
from nflow.store.kv import KvStore
from nflow.store.mongo import Connection, MongoStore
from nflow.store.mongo.moving import LONG
from nflow.store.port import Store
from tests.servers import Mongo, Server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("store")).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    server = Mongo(tmp_path_factory.mktemp("mongo")).start()
    yield server
    server.kill()


@pytest.fixture(params=["memory", "server", "mongo", "mongo, always moving"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[list[Store]]:
    """The stores of two clients of one server."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "memory":
                memory = MemoryServer()
                stack.push_async_callback(memory.close)
                yield [KvStore(MemoryBus(memory)), KvStore(MemoryBus(memory))]
            case "server":
                server = request.getfixturevalue("nats_server")
                yield [await _on_nats(server, stack) for _ in range(2)]
            case "mongo":
                url = request.getfixturevalue("mongo").url
                yield [await on_mongo(url, stack) for _ in range(2)]
            case _:
                url = request.getfixturevalue("mongo").url
                yield [await on_mongo(url, stack, tail=4) for _ in range(2)]


async def _on_nats(server: Server, stack: AsyncExitStack) -> KvStore:
    bus = await connect(server.url, token=server.token)
    stack.push_async_callback(bus.close)
    return KvStore(bus)


async def on_mongo(url: str, stack: AsyncExitStack, *, patience: float = 30.0, tail: int = LONG) -> MongoStore:
    """The store of one client."""
    connection = Connection(url, timeout=patience)
    store = MongoStore(connection, tail=tail)
    stack.push_async_callback(store.close)
    await connection.check(within=30.0)
    return store


@pytest.fixture
def store(stores: list[Store]) -> Store:
    return stores[0]


@pytest.fixture
def run() -> str:
    """A run that no other test has written to."""
    return f"run{next(_numbers)}"
