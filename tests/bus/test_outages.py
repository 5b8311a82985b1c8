"""What a real server, and the way to it, do to a client, and what the bus makes of it."""

import asyncio
import gc
import threading

import pytest

from nflow.bus.nats import Limits, connect
from nflow.bus.port import LEASE, Guard
from tests.bus.conftest import PATIENCE, NatsWorld
from tests.chaos.line import Line
from tests.servers import Server


@pytest.fixture
def server(tmp_path):
    """A server of its own, which the test may kill."""
    server = Server(tmp_path / "nats").start()
    yield server
    server.thaw()
    server.kill()


@pytest.fixture
async def world(server):
    world = NatsWorld([server])
    yield world
    await world.close()


async def reconnected(*buses):
    """Return when all of them are connected again."""
    events = [asyncio.Event() for _ in buses]
    for bus, event in zip(buses, events, strict=True):
        bus.on_reconnect(event.set)
    async with asyncio.timeout(PATIENCE):
        for event in events:
            await event.wait()


async def test_a_waiting_worker_gets_jobs_after_the_server_was_restarted(bus, world, server, queue, run, jobs):
    taken = jobs()
    (await bus.take(queue, taken)).want(1)
    await bus.flush()

    await asyncio.to_thread(server.restart)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)

    assert taken.items[0].deliveries == 1


async def test_a_job_posted_during_an_outage_is_delivered_afterwards(bus, world, server, queue, run, jobs):
    taken, lost = jobs(), asyncio.Event()
    (await bus.take(queue, taken)).want(1)
    bus.on_disconnect(lost.set)
    server.kill()
    async with asyncio.timeout(PATIENCE):
        await lost.wait()

    bus.post_job(f"nflow.job.task.{run}.a", b"x")
    await asyncio.to_thread(server.start)
    await world.until(taken.complete)

    assert taken.items[0].payload == b"x"


async def test_an_append_waits_through_an_outage_and_is_stored_once(bus, server, run):
    lost = asyncio.Event()
    bus.on_disconnect(lost.set)
    server.kill()
    appending = asyncio.ensure_future(bus.append(f"nflow.event.{run}", b"x"))
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    bus.publish(f"nflow.log.{run}", b"a line")

    await asyncio.to_thread(server.start)

    async with asyncio.timeout(PATIENCE):
        seq = await appending
    assert [record.seq for record in (await bus.read(f"nflow.event.{run}")).records] == [seq]
    assert [record.payload for record in (await bus.read(f"nflow.log.{run}")).records] == [b"a line"]


@pytest.mark.parametrize("expect", [0, None])
async def test_appends_in_flight_when_the_server_is_killed_are_stored_once_each(bus, server, run, expect):
    async def append(number: int) -> int:
        return await bus.append(f"nflow.event.{run}.{number}", b"%d" % number, expect=expect)

    some = asyncio.ensure_future(append(0))
    rest = [asyncio.ensure_future(append(number)) for number in range(1, 3000)]
    await some
    await asyncio.to_thread(server.restart)
    async with asyncio.timeout(PATIENCE):
        seqs = await asyncio.gather(some, *rest)

    page = await bus.read(f"nflow.event.{run}.>", limit=5000)
    assert sorted(seqs) == [record.seq for record in page.records]
    assert len(page.records) == 3000


async def test_ten_thousand_appends_at_once(bus, run):
    seqs = await asyncio.gather(*(bus.append(f"nflow.event.{run}.{number}", b"x" * 200) for number in range(10_000)))

    assert len(set(seqs)) == 10_000


async def test_a_frozen_server_is_noticed_and_nothing_is_stored_twice(bus, server, run):
    lost = asyncio.Event()
    bus.on_disconnect(lost.set)

    server.freeze()
    appending = asyncio.ensure_future(bus.append(f"nflow.event.{run}", b"x"))
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    assert bus.connected_for() == 0.0
    server.thaw()

    async with asyncio.timeout(PATIENCE):
        seq = await appending
    assert [record.seq for record in (await bus.read(f"nflow.event.{run}")).records] == [seq]


@pytest.mark.parametrize("guarded", [True, False])
async def test_what_a_lost_connection_delivers_late_is_not_stored_beside_what_was_sent_again(server, run, guarded):
    line = await Line(server.port).open()
    bus = await connect(f"nats://127.0.0.1:{line.port}", token=server.token)
    guard = Guard(f"nflow.event.{run}.owner", await bus.append(f"nflow.event.{run}.owner", b"me")) if guarded else None
    line.darken(only_old=True)
    async with asyncio.timeout(PATIENCE):
        seq = await bus.append(f"nflow.event.{run}.log", b"x", guard=guard)

    line.lighten()
    await line.until(connections=1)

    assert [record.seq for record in (await bus.read(f"nflow.event.{run}.log")).records] == [seq]
    await bus.close()
    await line.close()


async def test_nobody_hears_of_the_silence_of_a_server_who_has_stopped_waiting_for_it(bus, server):
    lost, complaints = asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    bus.on_disconnect(lost.set)
    server.freeze()
    flushing = asyncio.ensure_future(bus.flush())
    await asyncio.sleep(0)  # it begins

    flushing.cancel()
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    server.thaw()
    await bus.flush()
    gc.collect()

    assert complaints == []


async def test_a_client_that_the_server_closed_is_replaced_with_all_its_subscriptions(
    bus, other, world, queue, run, jobs, records
):
    taken, heard = jobs(), records()
    bus.watch(f"nflow.event.{run}.>", heard)
    (await bus.take(queue, taken)).want(1)
    again = asyncio.ensure_future(reconnected(bus))
    await bus.flush()

    await bus._connection.client.publish("x" * 5000)
    await again
    await bus.flush()  # the subscriptions are on their way, and the other client may be quicker
    await other.append(f"nflow.event.{run}.t", b"x")
    await other.enqueue(f"nflow.job.task.{run}.a", b"x")

    await world.until(heard.complete)
    await world.until(taken.complete)


async def test_a_client_that_closed_itself_is_replaced(bus, run):
    again = asyncio.ensure_future(reconnected(bus))
    await bus.flush()

    await bus._connection.client.close()
    await again

    assert await bus.append(f"nflow.event.{run}", b"x", expect=0)


async def test_a_client_whose_reading_has_died_unnoticed_is_replaced(bus, run):
    again = asyncio.ensure_future(reconnected(bus))
    await bus.flush()

    bus._connection.client._reading_task.cancel()  # as nats-py does after an error that it does not expect
    await again

    assert await bus.append(f"nflow.event.{run}", b"x", expect=0)


async def test_who_is_too_slow_for_a_burst_is_told_to_read_again(world, run):
    slow = await world.connect(limits=Limits(messages=10))
    told, heard = asyncio.Event(), []
    slow.on_reconnect(told.set)
    slow.watch(f"nflow.event.{run}.>", heard.append)
    fast = await world.connect()

    await asyncio.gather(*(fast.append(f"nflow.event.{run}.{number}", b"x") for number in range(2000)))
    await world.until(told)

    assert len(heard) < 2000


async def test_a_deleted_consumer_is_made_again(bus, world, queue, run, jobs):
    taken = jobs()
    (await bus.take(queue, taken)).want(1)
    await bus.flush()

    await bus._connection.client.jetstream().delete_consumer("nflow_jobs", queue.name)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)

    assert taken.items[0].payload == b"x"


async def test_what_the_server_kept_in_memory_can_be_written_again_after_a_restart(bus, server, run):
    await bus.append(f"$KV.nflow_workers.{run}", b"alive", ttl=60.0)

    await asyncio.to_thread(server.restart)

    async with asyncio.timeout(PATIENCE):
        assert await bus.append(f"$KV.nflow_workers.{run}", b"alive again", ttl=60.0)


async def test_a_lease_is_renewed_while_the_loop_is_blocked(bus, other, world, queue, run, jobs):
    taken, again = jobs(enough=2), jobs()
    (await bus.take(queue, taken)).want(2)
    await bus.enqueue(f"nflow.job.task.{run}.held", b"x")
    await bus.enqueue(f"nflow.job.task.{run}.forgotten", b"x")
    await world.until(taken.complete)
    lost = []
    next(job for job in taken.items if job.subject.endswith("held")).hold(lambda: lost.append("held"))
    (await other.take(queue, again)).want(2)
    await other.flush()

    threading.Event().wait(LEASE + 1.5)  # nobody sets it: a computation that never yields
    await world.until(again.complete)
    await other.flush()

    assert [job.subject for job in again.items] == [f"nflow.job.task.{run}.forgotten"]
    assert lost == []


async def test_a_holder_that_could_not_renew_is_told_and_may_go_on(bus, other, world, server, queue, run, jobs):
    taken, again, lost = jobs(), jobs(), asyncio.Event()
    (await bus.take(queue, taken)).want(1)
    await bus.enqueue(f"nflow.job.task.{run}.a", b"x")
    await world.until(taken.complete)
    taken.items[0].hold(lost.set)

    server.freeze()
    async with asyncio.timeout(PATIENCE):
        await lost.wait()
    was_leased = taken.items[0].is_leased
    server.thaw()
    (await other.take(queue, again)).want(1)
    await world.until(again.complete)

    assert not was_leased
    assert again.items[0].deliveries == 2


@pytest.fixture
async def leader_of_events(three_servers):
    """The server that leads the stream of events, and a client of the others."""
    world = NatsWorld(three_servers)
    bus = await world.connect()
    info = await bus._connection.client.jetstream().stream_info("nflow_events")
    leader = next(server for server in three_servers if server.name == info.cluster.leader)
    yield leader, bus
    leader.kill()
    await asyncio.to_thread(leader.start)
    await world.close()


@pytest.mark.slow
async def test_on_three_servers_the_leader_may_be_killed(leader_of_events, run):
    leader, bus = leader_of_events
    appending = [
        asyncio.ensure_future(bus.append(f"nflow.event.{run}.{number}", b"%d" % number, expect=0))
        for number in range(300)
    ]
    await appending[0]

    leader.kill()
    later = [bus.append(f"nflow.event.{run}.{number}", b"%d" % number, expect=0) for number in range(300, 400)]
    async with asyncio.timeout(60):
        seqs = await asyncio.gather(*appending, *later)

    page = await bus.read(f"nflow.event.{run}.>")
    assert sorted(seqs) == [record.seq for record in page.records]
