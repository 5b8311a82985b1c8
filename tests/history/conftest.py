"""Histories in files and on a real PostgreSQL, of logs on a bus in memory."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.history.database import Database
from tests.history.chronicle import Chronicle
from tests.history.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a history can be kept."""
    if request.param == "sqlite":
        return tmp_path / "history.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def opened() -> Iterator[Callable[[Path | str], Database]]:
    """Opens histories, and closes them in the end."""
    databases: list[Database] = []

    def open_(url: Path | str) -> Database:
        databases.append(Database(url))
        return databases[-1]

    yield open_
    for database in databases:
        database.close()


@pytest.fixture
def database(url: Path | str, opened: Callable[[Path | str], Database]) -> Database:
    return opened(url)


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    server = MemoryServer()
    yield MemoryBus(server)
    await server.close()


@pytest.fixture
def chronicle(bus: MemoryBus) -> Chronicle:
    return Chronicle(bus)
