"""What is fetched by digest is fetched once, and a failure is not kept."""

import asyncio

import pytest

from nflow.engine.specs import Cache
from nflow.errors import BlobLost


class Fetch:
    """Fetches when it is let, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def __call__(self, digest: str) -> str:
        self.asked.append(digest)
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return f"value of {digest}"


@pytest.fixture
def fetch():
    return Fetch()


async def test_a_value_is_fetched_once(fetch):
    cache = Cache(fetch, size=2)

    values = await asyncio.gather(*(cache.get("a") for _ in range(5)))

    assert values == ["value of a"] * 5
    assert await cache.get("a") == "value of a"
    assert fetch.asked == ["a"]


async def test_a_failure_reaches_all_who_wait_and_is_tried_again(fetch):
    cache = Cache(fetch, size=2)
    fetch.error = BlobLost("gone")

    failures = await asyncio.gather(*(cache.get("a") for _ in range(3)), return_exceptions=True)
    fetch.error = None

    assert [type(failure) for failure in failures] == [BlobLost] * 3
    assert await cache.get("a") == "value of a"
    assert fetch.asked == ["a", "a"]


async def test_one_who_is_cancelled_does_not_cancel_the_others(fetch):
    cache = Cache(fetch, size=2)
    fetch.open.clear()
    first, second = (asyncio.ensure_future(cache.get("a")) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.sleep(0)
    fetch.open.set()

    assert await second == "value of a"
    assert first.cancelled()


async def test_a_failure_that_nobody_waits_for_any_more_is_forgotten(fetch, caplog):
    cache = Cache(fetch, size=2)
    fetch.open.clear()
    fetch.error = BlobLost("gone")
    only = asyncio.ensure_future(cache.get("a"))
    await asyncio.sleep(0)

    only.cancel()
    fetch.open.set()
    await asyncio.gather(only, return_exceptions=True)
    await asyncio.sleep(0)
    fetch.error = None

    assert await cache.get("a") == "value of a"
    assert caplog.text == ""


async def test_the_least_used_one_makes_room(fetch):
    cache = Cache(fetch, size=2)

    for digest in ("a", "b", "a", "c", "a", "b"):
        await cache.get(digest)

    assert fetch.asked == ["a", "b", "c", "b"]
