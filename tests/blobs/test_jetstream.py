"""Large values on the bus: never more of them in memory than a few chunks, and whole whatever the server does."""

import asyncio
from pathlib import Path

import pytest

from nflow.blobs.jetstream import CHUNKS_IN_FLIGHT
from nflow.blobs.port import PIECE_BYTES
from nflow.errors import StorageFull
from tests.blobs.conftest import BusPlace, connect, data_of
from tests.servers import Server

PATIENCE = 60.0


async def test_chunks_are_sent_together_but_not_all_at_once(in_memory, run):
    await in_memory.put(run, data_of(3 * CHUNKS_IN_FLIGHT * PIECE_BYTES), size=PIECE_BYTES)

    assert in_memory.bus.most_appending == CHUNKS_IN_FLIGHT


async def test_the_more_values_are_sent_at_once_the_less_of_each_is_under_way(in_memory, run):
    data = data_of(CHUNKS_IN_FLIGHT * PIECE_BYTES)

    await asyncio.gather(*(in_memory.put(run, data, size=PIECE_BYTES) for _ in range(8)))

    assert in_memory.bus.most_appending < 3 * CHUNKS_IN_FLIGHT


async def test_a_source_is_asked_only_for_what_can_be_sent(in_memory, run):
    taken = 0
    full = asyncio.Event()

    async def endless():
        nonlocal taken
        while True:
            taken += 1
            yield bytes(PIECE_BYTES)

    async def hold(subject: str) -> None:
        if in_memory.bus.appending == CHUNKS_IN_FLIGHT:
            full.set()
        await asyncio.Event().wait()

    in_memory.bus.before_append = hold
    upload = asyncio.ensure_future(in_memory.store.put(run, endless()))
    await full.wait()
    await asyncio.sleep(0)

    assert taken <= CHUNKS_IN_FLIGHT + 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert in_memory.bus.appending == 0


async def test_a_slow_reader_is_not_read_ahead_of_by_more_than_a_batch(in_memory, run):
    ref = await in_memory.put(run, data_of(20 * CHUNKS_IN_FLIGHT * PIECE_BYTES // 8), size=PIECE_BYTES)

    pieces = in_memory.store.get(ref)
    await anext(pieces)
    for _ in range(100):
        await asyncio.sleep(0)

    assert len(in_memory.bus.pages) <= 2
    assert max(in_memory.bus.pages) <= CHUNKS_IN_FLIGHT
    await pieces.aclose()


async def test_a_full_server_is_told_as_such(in_memory, run):
    async def fill_up(subject: str) -> None:
        if subject.endswith(".3"):
            raise StorageFull("no room")

    in_memory.bus.before_append = fill_up

    with pytest.raises(StorageFull):
        await in_memory.put(run, data_of(40 * PIECE_BYTES), size=PIECE_BYTES)
    assert in_memory.bus.appending == 0


async def test_chunks_that_were_stored_out_of_their_order_come_in_order(in_memory, run):
    """As after an outage in which the answer to one of them was lost."""
    late = asyncio.Event()

    async def one_is_late(subject: str) -> None:
        if subject.endswith(".2"):
            await late.wait()
        if subject.endswith(".9"):
            late.set()

    in_memory.bus.before_append = one_is_late
    data = data_of(12 * PIECE_BYTES)

    ref = await in_memory.put(run, data, size=PIECE_BYTES)

    assert await in_memory.get(ref) == data


@pytest.fixture
async def mortal(tmp_path: Path):
    """A server of one's own, to be killed."""
    server = Server(tmp_path).start()
    bus = await connect(server.url, token=server.token)
    place = BusPlace(bus)
    place.server = server
    yield place
    await bus.close()
    server.kill()


async def test_a_put_goes_through_although_the_server_is_killed_in_the_middle(mortal, run):
    data = data_of(60 * PIECE_BYTES)

    async def pieces():
        for number in range(60):
            if number in (7, 40):
                await asyncio.to_thread(mortal.server.restart)
            yield data[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]

    async with asyncio.timeout(PATIENCE):
        where = await mortal.store.put(run, pieces())

    ref = await mortal.put(run, b"")
    chunks = [chunk async for chunk in mortal.store.get_at(where)]
    assert b"".join(chunks) == data
    assert await mortal.get(ref) == b""


async def test_a_get_goes_through_although_the_server_is_killed_in_the_middle(mortal, run):
    data = data_of(60 * PIECE_BYTES)
    ref = await mortal.put(run, data, size=PIECE_BYTES)
    found = []

    async with asyncio.timeout(PATIENCE):
        async for piece in mortal.store.get(ref):
            found.append(piece)
            if len(found) in (3, 30):
                await asyncio.to_thread(mortal.server.restart)

    assert b"".join(found) == data
