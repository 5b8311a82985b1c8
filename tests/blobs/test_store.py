"""What holds wherever large values are kept."""

import asyncio

import pytest

from nflow.blobs.port import PIECE_BYTES
from nflow.core.ids import RunId
from nflow.errors import BlobLost
from tests.blobs.conftest import data_of, pieces_of

PATIENCE = 20.0


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 20 * PIECE_BYTES + 7])
async def test_what_was_put_can_be_had(place, run, size):
    data = data_of(size)

    ref = await place.put(run, data, size=PIECE_BYTES)

    assert await place.get(ref) == data


@pytest.mark.parametrize("size", [1, 1000, PIECE_BYTES - 1])
async def test_pieces_may_be_of_any_size(place, run, size):
    data = data_of(min(3 * PIECE_BYTES, 200 * size))

    ref = await place.put(run, data, size=size)

    assert await place.get(ref) == data


async def test_values_of_one_run_are_told_apart(place, run):
    first, second = await place.put(run, b"first"), await place.put(run, b"second")

    assert [await place.get(first), await place.get(second)] == [b"first", b"second"]


async def test_many_come_and_go_at_once(place, run):
    values = [data_of(2 * PIECE_BYTES + number) for number in range(12)]

    async with asyncio.timeout(PATIENCE):
        refs = await asyncio.gather(*(place.put(run, value) for value in values))
        found = await asyncio.gather(*map(place.get, refs))

    assert found == values


async def test_what_is_gone_is_told_with_its_type_and_size(place, run):
    ref = await place.put(run, data_of(PIECE_BYTES))
    await place.store.drop(run)

    with pytest.raises(BlobLost, match=f"bytes, {PIECE_BYTES} bytes"):
        await place.get(ref)


async def test_what_is_no_longer_whole_is_lost(place, run):
    ref = await place.put(run, data_of(3 * PIECE_BYTES))
    await place.lose(ref)

    with pytest.raises(BlobLost):
        await place.get(ref)


async def test_dropping_a_run_leaves_those_of_others(place, run):
    other = RunId(f"{run}-other")
    mine, theirs = await place.put(run, b"mine"), await place.put(other, b"theirs")

    await place.store.drop(run)

    assert await place.get(theirs) == b"theirs"
    with pytest.raises(BlobLost):
        await place.get(mine)


async def test_dropping_a_run_that_stored_nothing_is_no_trouble(place, run):
    await place.store.drop(run)

    assert await place.get(await place.put(run, b"later")) == b"later"


async def test_an_upload_whose_source_fails_ends_with_that_failure(place, run):
    async def failing():
        async for piece in pieces_of(data_of(PIECE_BYTES), 1000):
            yield piece
        raise OSError("the slot is gone")

    with pytest.raises(OSError, match="the slot is gone"):
        await place.store.put(run, failing())


async def test_a_reader_may_stop_in_the_middle(place, run):
    ref = await place.put(run, data_of(10 * PIECE_BYTES))
    before = asyncio.all_tasks()

    pieces = place.store.get(ref)
    assert await anext(pieces)
    await pieces.aclose()

    assert asyncio.all_tasks() <= before
