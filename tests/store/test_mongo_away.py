"""A MongoDB that goes away, comes back, refuses, or loses its answers."""

import asyncio
import gc
import re
from contextlib import AsyncExitStack

import pytest

from nflow.errors import ConfigError, StoreUnavailable
from nflow.store.mongo import Connection
from nflow.store.mongo.connection import CHECKED_WITHIN
from nflow.wire.values import inline
from tests.servers import Mongo, free_port
from tests.store.conftest import on_mongo
from tests.store.relay import Relay
from tests.store.test_contract import got, pushed

SECRET = "geheim"

#: pymongo forgets to close the socket with which it was connecting when its watch is ended.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in.*socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    gc.collect()  # here, and not in a test of somebody else


@pytest.fixture
def own_mongo(tmp_path):
    """A server that a test may end."""
    server = Mongo(tmp_path / "mongo").start()
    yield server
    server.kill()


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


async def refusal(url, *, within=CHECKED_WITHIN, **options):
    """Why a store cannot be used."""
    connection = Connection(url, timeout=5)
    async with asyncio.timeout(within + 1):
        with pytest.raises(StoreUnavailable) as refused:
            await connection.check(within=within, **options)
    await connection.close()
    return str(refused.value)


async def test_calls_wait_for_a_server_that_comes_back(own_mongo, stack, run):
    store = await on_mongo(own_mongo.url, stack, patience=60)
    stopped = asyncio.Event()

    async def work(number):
        for step in range(60):
            if step == 20:
                await stopped.wait()
            await pushed(store, run, "results", (number, step))
            await store.increment(run, "count", 1)

    async with asyncio.timeout(60):
        works = [asyncio.ensure_future(work(number)) for number in range(8)]
        await asyncio.to_thread(own_mongo.stop)
        stopped.set()
        await asyncio.to_thread(own_mongo.start)
        await asyncio.gather(*works)

    results = await got(store, run, "results")
    assert [[step for by, step in results if by == number] for number in range(8)] == [list(range(60))] * 8
    assert await got(store, run, "count") == 480


async def test_calls_wait_for_a_server_that_is_frozen(own_mongo, stack, run):
    store = await on_mongo(own_mongo.url, stack, patience=60)
    await store.set(run, "a", inline(1))

    own_mongo.freeze()
    calls = [asyncio.ensure_future(store.increment(run, "a", 1)) for _ in range(3)]
    done, _ = await asyncio.wait(calls, timeout=0.5)
    own_mongo.thaw()

    assert not done
    async with asyncio.timeout(30):
        await asyncio.gather(*calls)
    assert await got(store, run, "a") == 4


@pytest.mark.parametrize("how", ["stop", "freeze"])
async def test_a_server_that_stays_away_fails_the_call_with_the_reason(own_mongo, stack, run, how):
    store = await on_mongo(own_mongo.url, stack, patience=1)
    await store.set(run, "a", inline(1))

    getattr(own_mongo, how)()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable) as refused:
            await store.set(run, "a", inline(2))

    assert str(refused.value) == (
        f"The store at mongodb://127.0.0.1:{own_mongo.port}/tests cannot be used: "
        "it was away for 1 s (store.timeout). Is it running?"
    )
    own_mongo.thaw() if how == "freeze" else own_mongo.start()
    async with asyncio.timeout(30):
        await store.set(run, "b", inline(3))
    assert await got(store, run, "b") == 3


@pytest.mark.parametrize("times", [1, 2])
async def test_a_change_whose_answer_was_lost_is_made_once(mongo, stack, run, times):
    relay = await Relay(mongo.port).open()
    stack.push_async_callback(relay.close)
    store = await on_mongo(f"mongodb://127.0.0.1:{relay.port}/tests", stack)
    await pushed(store, run, "list", 0)
    await store.increment(run, "count", 1)

    async with asyncio.timeout(30):
        relay.lose_answers(b"findAndModify", times)
        await pushed(store, run, "list", 1)
        relay.lose_answers(b"findAndModify", times)
        await store.increment(run, "count", 1)
        relay.lose_answers(b"findAndModify", times)
        assert await store.compare_and_set(run, "a", None, inline("mine"))

    assert relay.lost >= 3
    assert await got(store, run, "list") == [0, 1]
    assert await got(store, run, "count") == 2
    assert await got(store, run, "a") == "mine"


async def test_a_change_whose_answer_was_lost_while_others_wrote_on_is_made_once(mongo, stack, run):
    relay = await Relay(mongo.port).open()
    stack.push_async_callback(relay.close)
    store = await on_mongo(f"mongodb://127.0.0.1:{relay.port}/tests", stack)
    other = await on_mongo(mongo.url, stack, tail=4)
    await pushed(store, run, "list", "first")

    relay.lose_answers(b"findAndModify", 3)
    async with asyncio.timeout(30):
        mine = asyncio.ensure_future(pushed(store, run, "list", "mine"))
        for number in range(100):
            await pushed(other, run, "list", number)
        await mine

    results = await got(store, run, "list")
    assert sorted(map(str, results)) == sorted(["first", "mine", *map(str, range(100))])


async def test_a_server_that_nobody_is_at_is_told_at_once():
    port = free_port()

    told = await refusal(f"mongodb://me:{SECRET}@127.0.0.1:{port}/runs")

    assert told.startswith(f"The store at mongodb://127.0.0.1:{port}/runs cannot be used: nothing answers there (")
    assert "[Errno 111]" in told
    assert SECRET not in told


async def test_a_server_that_does_not_answer_is_told_in_time(own_mongo):
    own_mongo.freeze()

    assert "cannot be used" in await refusal(own_mongo.url)

    own_mongo.thaw()


async def test_a_wrong_password_is_told(tmp_path):
    server = Mongo(tmp_path / "mongo", login=True).start()
    url = server.url.replace(server.password, SECRET)

    told = await refusal(url, within=20)
    without = await refusal(re.sub(r"//.*@", "//", server.url), within=20)
    connection = Connection(server.url, timeout=5)
    await connection.check(within=20)
    await connection.close()
    server.kill()

    assert told.endswith("it refuses the login. Look at the user, the password and `authSource` in store.url.")
    assert "it wants a user and a password" in without
    assert SECRET not in told


async def test_a_server_that_is_too_old_is_told(mongo):
    told = await refusal(mongo.url, within=20, oldest=(99, 0))

    assert re.search(r"it is version \d+\.\d+\.\d+, and nflow needs 99\.0 or newer\. Upgrade it\.$", told)


@pytest.mark.parametrize(
    "url",
    [
        f"mongodb://me:{SECRET}/x@host/db",
        f"mongodb://me:{SECRET}@host:port",
        f"mongodb://me:{SECRET}@/db?x=%",
        f"mongodb://me:@{SECRET}@host",
        f"mongodb://me:{SECRET}@host/db?tls=maybe",
    ],
)
async def test_an_address_that_cannot_be_read_is_refused_without_a_word_of_it(url):
    with pytest.raises(ConfigError, match=r"store\.url is no address of a MongoDB") as refused:
        Connection(url, timeout=5)

    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__
