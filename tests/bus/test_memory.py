"""What only the twin can do: time that is moved by hand, and clients that are cut off at will."""

import asyncio

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.port import LEASE


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
async def server(clock):
    server = MemoryServer(clock, epoch=1_800_000_000.0)
    yield server
    await server.close()


@pytest.fixture
def bus(server):
    return MemoryBus(server)


async def take_one(bus, clock, queue, run, jobs):
    taken = jobs()
    (await bus.take(queue, taken)).want(1)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await clock.advance(0)
    return taken.items[0]


async def test_sleepers_wake_in_the_order_of_their_times(clock):
    woken = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.time()))

    sleepers = [asyncio.ensure_future(sleep(seconds)) for seconds in (2.0, 1.0, 3.0)]
    await clock.advance(2.5)

    assert woken == [(1.0, 1.0), (2.0, 2.0)]
    assert clock.next_wake() == 0.5
    await clock.advance(0.5)
    await asyncio.gather(*sleepers)


async def test_records_are_dated_by_the_clock(bus, clock):
    await bus.append("nflow.event.r", b"x")
    await clock.advance(10.0)
    await bus.append("nflow.event.r", b"x")

    assert [record.at - 1_800_000_000.0 for record in (await bus.read("nflow.event.r")).records] == [0.0, 10.0]


async def test_a_record_for_a_time_is_forgotten(bus, clock):
    await bus.append("$KV.nflow_workers.w", b"alive", ttl=5.0)

    await clock.advance(4.9)
    assert await bus.last("$KV.nflow_workers.w")
    await clock.advance(0.2)
    assert await bus.last("$KV.nflow_workers.w") is None


async def test_a_killed_clients_job_is_delivered_again_after_a_lease(bus, server, clock, queue, run, jobs):
    other, again = MemoryBus(server), jobs()
    job = await take_one(bus, clock, queue, run, jobs)
    job.hold(lambda: None)
    (await other.take(queue, again)).want(1)
    await clock.advance(10 * LEASE)
    assert again.items == []

    bus.kill()
    await clock.advance(LEASE - 0.1)
    assert again.items == []
    await clock.advance(0.2)

    assert again.items[0].deliveries == 2


async def test_a_client_that_is_cut_off_for_longer_than_a_lease_is_told(bus, clock, queue, run, jobs):
    lost = []
    job = await take_one(bus, clock, queue, run, jobs)
    job.hold(lambda: lost.append(clock.time()))

    bus.cut()
    await clock.advance(2 * LEASE)

    assert lost == [LEASE]


async def test_a_short_cut_loses_nothing(bus, clock, queue, run, jobs):
    lost, away, again = [], [], []
    job = await take_one(bus, clock, queue, run, jobs)
    job.hold(lambda: lost.append(clock.time()))
    bus.on_disconnect(lambda: away.append(clock.time()))
    bus.on_reconnect(lambda: again.append(clock.time()))

    bus.cut()
    appending = asyncio.ensure_future(bus.append("nflow.event.r", b"x"))
    await clock.advance(LEASE / 2)
    assert not appending.done()
    assert bus.connected_for() == 0.0
    bus.mend()
    await clock.advance(2 * LEASE)

    assert (await appending, lost, away, again) == (1, [], [0.0], [LEASE / 2])


async def test_a_restarted_server_has_kept_all_but_the_workers(bus, server):
    await bus.append("nflow.event.r", b"x")
    await bus.append("$KV.nflow_workers.w", b"alive")

    server.stop()
    server.start()

    assert await bus.last("nflow.event.r")
    assert await bus.last("$KV.nflow_workers.w") is None


async def test_pushes_can_be_lost(bus, server, clock):
    heard = []
    bus.watch("nflow.event.>", heard.append)
    server.loses = lambda record: record.seq == 1

    await bus.append("nflow.event.r", b"lost")
    await bus.append("nflow.event.r", b"heard")
    await clock.advance(0)

    assert [(record.payload, record.last_seq) for record in heard] == [(b"heard", 1)]
