"""Stations: with a site's server, with several, or with the one that nflow brings. Nothing outlives its test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.station import Station
from tests.servers import Server, cluster


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Processes around a server that is configured."""
    server = Server(tmp_path / "server").start()
    station = Station(tmp_path, [server])
    yield station
    left = await station.close()
    server.kill()
    assert left == {}, "processes outlived the workers that had started them"


@pytest.fixture
async def replicated(tmp_path: Path) -> AsyncIterator[Station]:
    """Processes around three servers that keep every record three times."""
    servers = cluster(tmp_path / "servers")
    station = Station(tmp_path, servers)
    yield station
    left = await station.close()
    for server in servers:
        server.kill()
    assert left == {}, "processes outlived the workers that had started them"


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[Station]:
    """Processes around nflow's own server."""
    station = Station(tmp_path)
    yield station
    left = await station.close()
    assert left == {}, "processes outlived the workers that had started them"
