"""Records that nobody waits for: stored in order, whatever happens to the server."""

import asyncio
from pathlib import Path

import pytest

from nflow.bus.nats import NatsBus, connect
from nflow.bus.nats.outbox import FEW
from nflow.bus.port import Bus
from tests.servers import Server


async def stored(bus: Bus, subject: str) -> list[bytes]:
    return [record.payload for record in (await bus.read(subject, limit=1_000_000)).records]


async def test_what_is_posted_is_stored_in_order(bus, run, world, records):
    subject, coming = f"nflow.log.{run}.main.a", records(100)
    watch = bus.watch(subject, coming)
    for number in range(100):
        bus.post_record(subject, b"%d" % number)

    await world.until(coming.complete)

    assert await stored(bus, subject) == [b"%d" % number for number in range(100)]
    watch.close()


async def test_many_records_are_stored_once_they_are_posted(bus, run):
    subject = f"nflow.log.{run}.main.a"
    for number in range(2000):
        bus.post_record(subject, b"%d" % number)

    await bus.posted(subject)

    assert len(await stored(bus, subject)) >= 2000 - FEW


async def test_for_another_subject_nobody_waits(bus, run):
    bus.post_record(f"nflow.log.{run}.main.a", b"x")

    async with asyncio.timeout(5):
        await bus.posted(f"nflow.log.{run}.main.b")


async def behind_all(bus: Bus) -> None:
    """Return when what was posted before is stored: one stream stores in the order in which it is sent."""
    await bus.append("nflow.log.run.main.z", b"")


@pytest.fixture
async def own(tmp_path: Path):
    server = Server(tmp_path / "server").start()
    bus = await connect(server.url, token=server.token)
    yield server, bus
    await bus.close()
    server.kill()


async def test_what_is_posted_around_the_death_of_the_server_is_all_there_and_in_order(own: tuple[Server, NatsBus]):
    server, bus = own
    subject, total = "nflow.log.run.main.a", 3000
    down, up = asyncio.Event(), asyncio.Event()
    bus.on_disconnect(down.set)
    bus.on_reconnect(up.set)
    for number in range(total // 3):
        bus.post_record(subject, b"%d" % number)

    server.kill()
    for number in range(total // 3, 2 * total // 3):
        bus.post_record(subject, b"%d" % number)
    async with asyncio.timeout(20):
        await down.wait()
    server.start()
    async with asyncio.timeout(20):
        await up.wait()
    for number in range(2 * total // 3, total):
        bus.post_record(subject, b"%d" % number)
    async with asyncio.timeout(20):
        await behind_all(bus)

    # whoever reads drops what came twice
    assert list(dict.fromkeys(await stored(bus, subject))) == [b"%d" % number for number in range(total)]


async def test_what_has_no_room_in_an_outage_goes_the_oldest_first(own: tuple[Server, NatsBus], monkeypatch):
    server, bus = own
    monkeypatch.setattr("nflow.bus.nats.outbox.MOST_BYTES", 10)
    down, up = asyncio.Event(), asyncio.Event()
    bus.on_disconnect(down.set)
    bus.on_reconnect(up.set)
    server.kill()
    async with asyncio.timeout(20):
        await down.wait()
    for number in range(10, 20):
        bus.post_record("nflow.log.run.main.a", b"%d" % number)

    server.start()
    async with asyncio.timeout(20):
        await up.wait()
    await behind_all(bus)

    assert await stored(bus, "nflow.log.run.main.a") == [b"%d" % number for number in range(15, 20)]


async def test_what_is_posted_before_its_stream_can_take_it_is_stored_in_order_afterwards(tmp_path: Path):
    server = Server(tmp_path / "server").start()
    early = await connect(server.url, token=server.token, ensure=False)
    for number in range(100):
        early.post_record("nflow.log.run.main.a", b"%d" % number)
    await early.flush()

    late = await connect(server.url, token=server.token)
    early.post_record("nflow.log.run.main.a", b"100")
    async with asyncio.timeout(20):
        await early.posted("nflow.log.run.main.a")
        await behind_all(early)

    assert list(dict.fromkeys(await stored(late, "nflow.log.run.main.a"))) == [b"%d" % number for number in range(101)]
    await early.close()
    await late.close()
    server.kill()
