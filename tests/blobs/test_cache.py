"""Copies of large values near the slots: fetched once, bounded, gone with their worker."""

import asyncio
import subprocess
import sys

import pytest

from nflow.blobs.cache import SMALL_BYTES, BlobCache, CacheBroken, sweep
from nflow.core.dataset import BLOB, Ref
from nflow.errors import BlobLost
from tests.blobs.conftest import data_of

LARGE = SMALL_BYTES + 1


class Source:
    """Values by digest, and how often each was fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def __call__(self, ref: Ref):
        self.fetched.append(ref.digest)
        data = data_of(ref.size_bytes)
        for start in range(0, len(data), 100_000):
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield data[start : start + 100_000]


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def cache_of(source, tmp_path):
    caches = []

    def make(size: int) -> BlobCache:
        caches.append(BlobCache(source, size, tmp_path))
        return caches[-1]

    yield make
    for cache in caches:
        await cache.close()


def ref_of(digest: str, size: int = LARGE) -> Ref:
    return Ref(scheme=BLOB, where="w", size_bytes=size, digest=digest, type="bytes")


async def whole(copy) -> bytes:
    """What a slot gets of a copy, when all of it is there."""
    async with asyncio.timeout(10):
        async for _ in copy.progress():
            pass
    return copy.data if copy.data is not None else copy.path.read_bytes()


@pytest.mark.parametrize("size", [1, SMALL_BYTES, LARGE, 10 * LARGE])
async def test_a_value_is_fetched_once_for_all_who_want_it_at_once_and_later(cache_of, source, size):
    cache = cache_of(100 * LARGE)

    found = await asyncio.gather(*(whole(cache.copy_of(ref_of("a", size))) for _ in range(5)))
    found.append(await whole(cache.copy_of(ref_of("a", size))))

    assert set(found) == {data_of(size)}
    assert source.fetched == ["a"]


async def test_large_ones_are_files_of_this_user_alone_and_small_ones_in_memory(cache_of, tmp_path):
    cache = cache_of(100 * LARGE)

    large, small = cache.copy_of(ref_of("a")), cache.copy_of(ref_of("b", 10))
    await whole(large)
    await whole(small)

    assert large.data is None
    assert small.path is None
    [folder] = tmp_path.iterdir()
    assert large.path.parent == folder
    assert folder.stat().st_mode & 0o077 == 0


async def test_a_large_one_can_be_read_while_it_comes(cache_of, source):
    copy = cache_of(100 * LARGE).copy_of(ref_of("a"))
    source.gate.clear()
    progress = copy.progress()

    first = await anext(progress)
    source.gate.set()
    rest = [there async for there in progress]

    assert first == 0
    assert rest[-1] == LARGE
    assert rest == sorted(rest)


async def test_the_least_recently_used_goes_first(cache_of, source):
    cache = cache_of(3 * LARGE)
    for digest in ("a", "b", "a", "c"):
        await whole(cache.copy_of(ref_of(digest)))

    await whole(cache.copy_of(ref_of("a")))
    await whole(cache.copy_of(ref_of("b")))

    assert source.fetched == ["a", "b", "c", "b"]


async def test_the_files_of_those_that_went_are_gone_too(cache_of, tmp_path):
    cache = cache_of(3 * LARGE)
    for number in range(10):
        await whole(cache.copy_of(ref_of(f"{number}")))

    [folder] = tmp_path.iterdir()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3 * LARGE


async def test_a_copy_whose_file_went_can_be_read_to_its_end_by_who_has_it_open(cache_of):
    cache = cache_of(2 * LARGE)
    copy = cache.copy_of(ref_of("a"))
    await whole(copy)

    with copy.path.open("rb") as file:
        await whole(cache.copy_of(ref_of("b")))
        assert not copy.path.exists()

        assert file.read() == data_of(LARGE)


async def test_what_has_no_room_is_not_kept(cache_of, source):
    cache = cache_of(2 * LARGE)

    assert cache.copy_of(ref_of("a", 3 * LARGE)) is None
    assert source.fetched == []


async def test_what_is_on_its_way_is_not_thrown_out_for_another(cache_of, source):
    cache = cache_of(2 * LARGE)
    source.gate.clear()
    coming = cache.copy_of(ref_of("a"))

    assert cache.copy_of(ref_of("b")) is None

    source.gate.set()
    assert await whole(coming) == data_of(LARGE)


@pytest.mark.parametrize("size", [10, LARGE])
async def test_a_failure_is_told_to_all_who_wait_and_tried_again_the_next_time(cache_of, source, size):
    cache = cache_of(100 * LARGE)
    source.error = BlobLost("gone")

    ends = await asyncio.gather(*(whole(cache.copy_of(ref_of("a", size))) for _ in range(3)), return_exceptions=True)
    source.error = None

    assert [type(end) for end in ends] == [BlobLost] * 3
    assert await whole(cache.copy_of(ref_of("a", size))) == data_of(size)


async def test_a_folder_that_cannot_be_written_breaks_the_copy_and_no_more(source, tmp_path):
    cache = BlobCache(source, 100 * LARGE, tmp_path / "away")

    with pytest.raises(CacheBroken):
        await whole(cache.copy_of(ref_of("a")))

    await cache.close()


async def test_a_copy_that_was_found_damaged_is_fetched_again(cache_of, source):
    cache = cache_of(100 * LARGE)
    await whole(cache.copy_of(ref_of("a")))

    cache.forget(ref_of("a"))

    assert await whole(cache.copy_of(ref_of("a"))) == data_of(LARGE)
    assert source.fetched == ["a", "a"]


async def test_who_gives_up_stops_nobody_else(cache_of, source):
    cache = cache_of(100 * LARGE)
    source.gate.clear()
    impatient, patient = (asyncio.ensure_future(whole(cache.copy_of(ref_of("a")))) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()
    source.gate.set()

    assert await patient == data_of(LARGE)


async def test_nothing_is_left_of_a_cache_that_was_closed(source, tmp_path):
    cache = BlobCache(source, 100 * LARGE, tmp_path)
    await whole(cache.copy_of(ref_of("a")))
    source.gate.clear()
    cache.copy_of(ref_of("b"))

    await cache.close()

    assert list(tmp_path.iterdir()) == []


_DIE = """
import asyncio, os, sys
from pathlib import Path
from nflow.blobs.cache import BlobCache
from nflow.core.dataset import BLOB, Ref

async def fetch(ref):
    yield bytes(ref.size_bytes)

async def main():
    cache = BlobCache(fetch, 1 << 30, Path(sys.argv[1]))
    copy = cache.copy_of(Ref(scheme=BLOB, where="w", size_bytes=1 << 20, digest="dead", type="bytes"))
    async for _ in copy.progress():
        pass
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_the_folders_of_workers_that_died_are_swept_and_those_of_others_stay(cache_of, tmp_path):
    living = cache_of(100 * LARGE).copy_of(ref_of("a"))
    await whole(living)
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _DIE, str(tmp_path)], timeout=30, check=False)
    assert {path.name for path in tmp_path.glob("*/*")} == {"a", "dead", "lock"}

    sweep(tmp_path)

    assert {path.name for path in tmp_path.glob("*/*")} == {"a", "lock"}
    assert await whole(living) == data_of(LARGE)
