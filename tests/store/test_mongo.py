"""What is particular to the store on MongoDB: what it leaves in the database, and who can read it."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pymongo
import pytest

from nflow.errors import TooLarge
from nflow.store.port import Once
from nflow.wire.values import inline
from tests.store.conftest import on_mongo
from tests.store.test_contract import got, plain, pushed


@pytest.fixture
def database(mongo):
    with pymongo.MongoClient(mongo.url) as client:
        yield client.get_default_database()


@pytest.fixture
async def stores(mongo):
    async with AsyncExitStack() as stack:
        yield [await on_mongo(mongo.url, stack) for _ in range(2)]


async def settle(store):
    """Finish what the store does in the background."""
    for keys in store._logs.values():
        await keys.log.close()


async def test_other_programs_can_read_plain_values(store, run, database):
    await store.set(run, "sample.name", inline("LaB6"))
    await store.set(run, "sample.cell", {"a": inline(4.15), "atoms": [inline("La"), inline(6)]})
    await pushed(store, run, "sample.spectra", 7)

    head = database.nflow_store.find_one({"run": run, "top": "sample"})
    assert [(change["at"], change["is"], change["value"]) for change in head["entries"]] == [
        ("sample.name.", "set", "LaB6"),
        ("sample.cell.", "set", {"a": 4.15, "atoms": ["La", 6]}),
        ("sample.spectra.", "set", []),
        ("sample.spectra.", "append", [7]),
    ]


@pytest.mark.parametrize(
    "value",
    [
        datetime.fromisoformat("2026-11-21T01:02:03.004"),
        datetime.fromisoformat("2026-11-21T01:02:03.004567"),
        datetime(2026, 11, 21, tzinfo=UTC),
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        -0.0,
        {"$set": 1, "a.b": 2, "nflow:type": 3, "": 4},
        frozenset({1}),
        1 + 2j,
    ],
    ids=repr,
)
async def test_values_of_all_kinds_come_back_as_they_were(store, run, value):
    await store.set(run, "a", {"b": inline(value), "c": [inline(value)]})

    back = await got(store, run, "a")

    assert repr(back) == repr({"b": value, "c": [value]})


async def test_a_deep_tree_comes_back_as_it_was(store, run):
    tree = value = inline(1)
    for _ in range(90):
        tree = {"a": tree}

    await store.set(run, "deep", tree)

    back = await got(store, run, "deep")
    for _ in range(90):
        back = back["a"]
    assert back == plain(value)


async def test_long_lists_and_sums_are_kept_in_few_documents(stores, run, database):
    async def work(number):
        for step in range(250):
            await pushed(stores[number % 2], run, "results", (number, step))
            once = Once(writer=f"task{number}", number=step + 1)
            await stores[number % 2].increment(run, "count", 0.5, once=once)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(number) for number in range(16)))
    for store in stores:
        await settle(store)

    assert await got(stores[0], run, "count") == 2000
    results = await got(stores[0], run, "results")
    assert [[step for by, step in results if by == number] for number in range(16)] == [list(range(250))] * 16
    assert database.nflow_store_parts.count_documents({"run": run, "at": "results."}) < 40
    assert database.nflow_store_parts.count_documents({"run": run, "at": "count."}) < 40
    assert max(len(head["entries"]) for head in database.nflow_store.find({"run": run})) < 1024


async def test_what_was_summed_up_still_counts_once(stores, run):
    for number in range(1, 4001):
        await stores[0].increment(run, "count", 1, once=Once(writer="task", number=number))
    await settle(stores[0])

    for number in (1, 2000, 4000):
        await stores[1].increment(run, "count", 1, once=Once(writer="task", number=number))

    assert await got(stores[1], run, "count") == 4000


async def test_old_values_of_a_key_do_not_pile_up(store, run, database):
    for number in range(1000):
        await store.set(run, "progress.now", inline(number))
    await settle(store)

    assert await got(store, run, "progress") == {"now": 999}
    assert database.nflow_store_parts.count_documents({"run": run}) <= 2


async def test_one_who_takes_a_list_by_comparing_misses_no_push(stores, run):
    taken = []

    async def take():
        while not pushing.done() or await got(stores[1], run, "jobs"):
            there = await stores[1].get(run, "jobs")
            if there and await stores[1].compare_and_set(run, "jobs", there, []):
                taken.extend(plain(there))

    async def push(number):
        for step in range(50):
            await pushed(stores[0], run, "jobs", (number, step))

    async with asyncio.timeout(60):
        pushing = asyncio.gather(*(push(number) for number in range(4)))
        await asyncio.gather(pushing, take())

    assert sorted(taken) == [(number, step) for number in range(4) for step in range(50)]


async def test_a_reader_never_sees_a_later_part_without_an_earlier_one(stores, run):
    async def write():
        for step in range(400):
            await stores[0].set(run, "scan.position", inline(step))
            await stores[0].set(run, "scan.frame", inline(step))

    async def read():
        while not writing.done():
            scan = await got(stores[1], run, "scan") or {}
            assert scan.get("position", 0) >= scan.get("frame", 0)

    async with asyncio.timeout(60):
        writing = asyncio.ensure_future(write())
        await asyncio.gather(writing, read())


async def test_a_forgotten_run_leaves_nothing_and_others_stay(store, run, database):
    database.theirs.insert_one({"run": run})
    for number in range(300):
        await pushed(store, run, "list", number)
    await store.set(f"{run}x", "a", inline(1))
    await settle(store)

    await store.drop(run)

    left = {name: database[name].count_documents({"run": run}) for name in database.list_collection_names()}
    assert {name: count for name, count in left.items() if count} == {"theirs": 1}
    assert await got(store, f"{run}x", "a") == 1


async def test_many_large_changes_at_once_find_room(store, run):
    async with asyncio.timeout(60):
        await asyncio.gather(*(pushed(store, run, "list", b"x" * 1_000_000) for _ in range(24)))

    assert len(await got(store, run, "list")) == 24


async def test_what_does_not_fit_is_refused_and_changes_nothing(store, run):
    await store.set(run, "a", inline(1))

    with pytest.raises(TooLarge, match="more than the store takes at once"):
        await store.set(run, "a", inline(b"x" * 5_000_000))

    assert await got(store, run, "a") == 1
