"""Monitors on scripted sources, in a time zone of their own."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryServer
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.store.kv import KvStore
from nflow.top.app import Monitor
from nflow.top.cells import Look
from nflow.top.source import Source
from tests.engine.conftest import StageBus
from tests.top.site import Site

Watch = Callable[..., AbstractAsyncContextManager[Pilot[None]]]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are those of Greenwich, whatever the host's are."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def watch() -> Watch:
    """Open a monitor: `async with watch(source) as pilot`."""

    @asynccontextmanager
    async def opened(
        source: Source, size: tuple[int, int] = (80, 24), look: Look | None = None
    ) -> AsyncIterator[Pilot[None]]:
        app = Monitor(source, look or Look())
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            yield pilot

    return opened


async def settle(pilot: Pilot[None]) -> None:
    """Return when all that was asked for is drawn."""
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    pilot.app.screen.redraw()  # type: ignore[attr-defined]
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press these keys, one after the other."""
    await pilot.press(*keys)
    if hasattr(pilot.app.screen, "redraw"):
        await settle(pilot)


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
    """The bus that the monitor listens to."""
    return StageBus(server)


@pytest.fixture
async def engine(bus: StageBus) -> AsyncIterator[Engine]:
    engine = Engine(bus, WorkerId("me"), KvStore(bus))
    yield engine
    engine.close()


@pytest.fixture
async def site(server: MemoryServer) -> AsyncIterator[Site]:
    """Everybody else on that server."""
    site = Site(server)
    yield site
    site.engine.close()
