"""Iterations over an outage: on a real server, which dies in their middle."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nflow.client import AsyncClient
from nflow.core.events import StopRequested
from nflow.core.ids import RunId
from nflow.wire.messages import pack_events
from tests.servers import Server

RUN = RunId("01run")
COUNT = 200


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path / "server").start()
    yield server
    server.kill()


async def test_an_iteration_over_events_goes_on_after_an_outage_without_a_gap_or_a_repetition(server):
    settings = {"server.token": server.token}
    async with AsyncClient(server.url, settings=settings) as reader, AsyncClient(server.url, settings=settings) as site:
        engine = site._opened().engine

        async def write() -> None:
            for n in range(COUNT):
                event = StopRequested(reason=f"{n}", by="ada")
                await engine.bus.append(engine.subjects.ask(RUN), pack_events([event]))

        seen = []
        writing = asyncio.ensure_future(write())
        async with asyncio.timeout(60):
            async for event in reader.events(after=0):
                seen.append(event.why)
                if len(seen) in (COUNT // 4, COUNT // 2):
                    await asyncio.to_thread(server.restart)
                if len(seen) == COUNT:
                    break
            await writing

    assert seen == [f"{n}" for n in range(COUNT)]
