"""A worker is listed while it lives."""

import asyncio

import pytest

from nflow.worker.duties import Duties
from nflow.worker.heartbeat import Heartbeat, workers


@pytest.fixture
def heartbeat(engine):
    return Heartbeat(engine, Duties(queues=("task",), slots=3), lambda: (2, 5), "1.0")


async def listed(engine):
    for _ in range(10):
        await asyncio.sleep(0)
    return await workers(engine)


async def test_a_worker_is_listed_with_what_it_does(engine, heartbeat):
    heartbeat.start()

    [entry] = await listed(engine)
    assert (entry.worker, entry.queues, entry.slots, entry.tasks, entry.drives) == ("me", ("task",), 3, 2, 5)
    await heartbeat.close()


async def test_a_worker_that_leaves_is_listed_no_more(engine, heartbeat):
    heartbeat.start()
    await listed(engine)

    await heartbeat.close()

    assert await listed(engine) == []


async def test_a_worker_that_vanished_is_forgotten(engine, heartbeat, clock):
    heartbeat.start()
    await listed(engine)
    heartbeat._clock.cancel()

    await clock.advance(30.0)

    assert await listed(engine) == []


async def test_a_full_server_does_not_end_the_beats(engine, heartbeat, server, caplog):
    server.is_full = lambda subject: True
    heartbeat.start()
    await listed(engine)

    assert not heartbeat._clock.done()
    assert "not listed for now" in caplog.text
    server.is_full = lambda _: False
    await heartbeat.close()


async def test_a_worker_can_leave_while_the_server_is_away(engine, heartbeat):
    heartbeat.start()
    await listed(engine)

    engine.bus.cut()

    async with asyncio.timeout(5):
        await heartbeat.close()
