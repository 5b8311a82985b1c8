"""Large data: whole or not at all."""

import asyncio

import pytest

from nflow.blobs.jetstream import CHUNKS_IN_FLIGHT
from nflow.blobs.port import PIECE_BYTES as CHUNK_BYTES
from nflow.core.ids import RunId
from nflow.errors import BlobLost, StorageFull
from nflow.wire.digest import digest, digest_of_parts

RUN = RunId("r")


def data_of(chunks: float) -> bytes:
    return bytes(range(256)) * int(chunks * CHUNK_BYTES / 256)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES])
async def test_what_was_put_can_be_had(engine, size):
    data = (b"abcdefg" * (size // 7 + 1))[:size]

    ref = await engine.blobs.put(RUN, memoryview(data), "bytes")

    assert await engine.blobs.get(ref) == data
    assert (ref.size_bytes, ref.digest, ref.type) == (size, digest_of_parts([data]), "bytes")


async def test_chunks_are_sent_together_but_not_all_at_once(engine, bus):
    await engine.blobs.put(RUN, data_of(3 * CHUNKS_IN_FLIGHT), "bytes")

    assert bus.most_appending == CHUNKS_IN_FLIGHT


async def test_a_full_server_is_told_as_such(engine, server):
    """Once, it came as a group of errors, which nobody expected."""
    server.is_full = lambda subject: True

    with pytest.raises(StorageFull):
        await engine.blobs.put(RUN, data_of(3), "bytes")


async def test_an_upload_that_was_cancelled_stops(engine, bus):
    reached = asyncio.Event()

    async def hold(subject: str) -> None:
        reached.set()
        await asyncio.Event().wait()

    bus.before_append = hold
    upload = asyncio.ensure_future(engine.blobs.put(RUN, data_of(3), "bytes"))
    await reached.wait()

    upload.cancel()

    with pytest.raises(asyncio.CancelledError):
        await upload
    assert bus.appending == 0


async def test_an_interrupted_upload_of_code_is_completed_by_the_next(engine, bus, other_engine):
    data = data_of(4)

    async def die_at_the_third(subject: str) -> None:
        if subject.endswith(".2"):
            raise StorageFull

    bus.before_append = die_at_the_third
    with pytest.raises(StorageFull):
        await engine.blobs.put_code(data)
    with pytest.raises(BlobLost, match="Submit the run again"):
        await other_engine.blobs.get_code(digest(data))

    name = await other_engine.blobs.put_code(data)

    assert await other_engine.blobs.get_code(name) == data


async def test_code_is_stored_once(engine, bus):
    first = await engine.blobs.put_code(data_of(2))
    count = (await bus.read("nflow.blob.>")).records

    assert await engine.blobs.put_code(data_of(2)) == first
    assert (await bus.read("nflow.blob.>")).records == count


async def test_a_damaged_chunk_is_noticed(engine, bus):
    ref = await engine.blobs.put(RUN, data_of(2), "bytes")
    subject = f"{ref.where}.1"
    await bus.purge(subject)
    await bus.append(subject, b"x" * CHUNK_BYTES)

    with pytest.raises(BlobLost, match="gone or damaged"):
        await engine.blobs.get(ref)


async def test_a_missing_chunk_is_noticed(engine, bus):
    ref = await engine.blobs.put(RUN, data_of(3), "bytes")
    await bus.purge(f"{ref.where}.1")

    with pytest.raises(BlobLost, match="gone or damaged"):
        await engine.blobs.get(ref)


async def test_the_data_of_a_run_can_be_dropped_and_its_code_stays(engine):
    ref = await engine.blobs.put(RUN, b"data", "bytes")
    name = await engine.blobs.put_code(b"code")

    await engine.blobs.drop(RUN)

    with pytest.raises(BlobLost):
        await engine.blobs.get(ref)
    assert await engine.blobs.get_code(name) == b"code"
