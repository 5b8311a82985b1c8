"""What every store does, whatever it keeps its data in."""

import asyncio

import pytest

from nflow.core.dataset import INLINE, Ref
from nflow.errors import StoreTypeError
from nflow.store.port import META, Once
from nflow.wire.values import decode, inline


def plain(tree):
    """A tree as the values that it stands for."""
    match tree:
        case None:
            return None
        case dict():
            return {key: plain(below) for key, below in tree.items()}
        case list():
            return [plain(below) for below in tree]
    assert tree.scheme == INLINE
    return decode(tree.where)


async def got(store, run, key, **options):
    return plain(await store.get(run, key, **options))


async def pushed(store, run, key, *values, once=None):
    await store.extend(run, key, [inline(value) for value in values], once=once)


async def test_what_was_set_can_be_had(store, run):
    await store.set(run, "sample.name", inline("LaB6"))

    assert await got(store, run, "sample.name") == "LaB6"
    assert await got(store, run, "sample") == {"name": "LaB6"}
    assert await got(store, run, "sample.other") is None
    assert await got(store, run, "sample.name.other") is None
    assert await got(store, run, "nix") is None


async def test_a_dict_can_be_reached_into_and_changed_in_parts(store, run):
    await store.set(run, "sample", {"name": inline("LaB6"), "cell": {"a": inline(4.15)}})
    await store.set(run, "sample.cell.b", inline(4.16))
    await store.set(run, "sample.name", inline("Si"))

    assert await got(store, run, "sample") == {"name": "Si", "cell": {"a": 4.15, "b": 4.16}}
    assert await got(store, run, "sample.cell.a") == 4.15


async def test_a_new_value_takes_the_place_of_all_that_was_there(store, run):
    await store.set(run, "a.b.c", inline(1))
    await pushed(store, run, "a.list", 1, 2)
    await store.increment(run, "a.count", 3)

    await store.set(run, "a", {"d": inline(2)})

    assert await got(store, run, "a") == {"d": 2}
    assert await got(store, run, "a.b.c") is None
    assert await got(store, run, "a.list") is None

    await pushed(store, run, "a.list", 3)
    assert await got(store, run, "a") == {"d": 2, "list": [3]}


@pytest.mark.parametrize("value", [inline(1), inline("text"), [], [inline(1)]])
async def test_nothing_is_set_below_a_value(store, run, value):
    await store.set(run, "a.b", value)

    with pytest.raises(StoreTypeError, match=r"'a\.b' holds a value"):
        await store.set(run, "a.b.c", inline(2))
    with pytest.raises(StoreTypeError, match=r"'a\.b' holds a value"):
        await pushed(store, run, "a.b.c.d", 2)

    assert await got(store, run, "a.b") == plain(value)


def large(name):
    return Ref(scheme="blob", where=name, size_bytes=10**6, digest="d", type="numpy")


async def test_large_values_to_which_no_key_leads_any_more_are_let_go_of(store, run):
    void = []

    async def let_go(refs):
        void.append(sorted(ref.where for ref in refs))

    store.on_void = let_go
    await store.set(run, "a", {"b": large("1"), "c": large("2"), "d": inline(1)})
    await store.set(run, "a.e", large("3"))
    await store.extend(run, "a.list", [large("4")])
    assert void == []

    await store.set(run, "a.e", large("5"))
    await store.delete(run, "a.list")
    await store.compare_and_set(run, "x", None, large("6"))
    await store.compare_and_set(run, "x", large("6"), large("7"))
    await store.set(run, "a", inline(0))

    assert void == [["3"], ["4"], ["6"], ["1", "2", "5"]]


async def test_runs_and_sections_are_apart(store, run):
    await store.set(run, "a", inline(1))
    await store.set(run, "a", inline(2), section=META)

    assert await got(store, run, "a") == 1
    assert await got(store, run, "a", section=META) == 2
    assert await got(store, f"{run}x", "a") is None
    assert plain(await store.whole(run)) == {"a": 1}
    assert plain(await store.whole(run, section=META)) == {"a": 2}


async def test_parameters_are_there_from_the_beginning(store, run):
    await store.seed(run, {"energy": inline(12), "angle": inline(3)})

    assert await got(store, run, "energy") == 12


async def test_what_is_pushed_comes_in_order_and_lists_do_not_merge(store, run):
    await pushed(store, run, "a", 1)
    await store.extend(run, "a", [[inline(2), inline(3)], {"b": inline(4)}])
    await pushed(store, run, "a", 5, 6)
    await pushed(store, run, "a")

    assert await got(store, run, "a") == [1, [2, 3], {"b": 4}, 5, 6]


async def test_a_list_that_was_set_can_be_pushed_to(store, run):
    await store.set(run, "a", {"b": [inline(1)]})

    await pushed(store, run, "a.b", 2)

    assert await got(store, run, "a") == {"b": [1, 2]}


@pytest.mark.parametrize("value", [inline(1), {"b": inline(1)}, inline(None)])
async def test_a_push_to_what_is_no_list_changes_nothing(store, run, value):
    await store.set(run, "a", value)

    with pytest.raises(StoreTypeError, match="'a' of the store holds no list"):
        await pushed(store, run, "a", 2)

    assert await got(store, run, "a") == plain(value)


async def test_a_number_grows_from_nothing(store, run):
    await store.increment(run, "a.n", 1)
    await store.increment(run, "a.n", 2)
    await store.increment(run, "a.n", -0.5)

    assert await got(store, run, "a") == {"n": 2.5}


async def test_a_number_that_was_set_grows(store, run):
    await store.set(run, "n", inline(40))

    await store.increment(run, "n", 2)

    assert await got(store, run, "n") == 42


@pytest.mark.parametrize("value", [inline("text"), inline(True), [inline(1)]])
async def test_nothing_is_added_to_what_is_no_number(store, run, value):
    await store.set(run, "a", value)

    with pytest.raises(StoreTypeError, match="'a' of the store holds no number"):
        await store.increment(run, "a", 2)

    assert await got(store, run, "a") == plain(value)


async def test_what_is_deleted_is_gone_with_all_its_parts(store, run):
    await store.set(run, "a", {"b": inline(1), "c": inline(2)})
    await store.set(run, "a.d.e", inline(3))
    await pushed(store, run, "a.list", 4)

    assert await store.delete(run, "a.b") is True
    assert await store.delete(run, "a.d") is True
    assert await store.delete(run, "a.d") is False
    assert await got(store, run, "a") == {"c": 2, "list": [4]}

    assert await store.delete(run, "a.c") is True
    assert await store.delete(run, "a.list") is True
    assert await got(store, run, "a") is None, "a parent without parts is gone too"
    await store.set(run, "a.c", inline(1))

    assert await store.delete(run, "a") is True
    assert await got(store, run, "a") is None
    assert plain(await store.whole(run)) == {}
    await store.set(run, "a.b", inline(5))
    assert await got(store, run, "a") == {"b": 5}


async def test_a_value_is_replaced_only_where_it_is_as_expected(store, run):
    assert await store.compare_and_set(run, "a.state", None, inline("idle")) is True
    assert await store.compare_and_set(run, "a.state", None, inline("busy")) is False
    assert await store.compare_and_set(run, "a.state", inline("idle"), inline("busy")) is True
    assert await got(store, run, "a.state") == "busy"


async def test_trees_and_lists_are_compared_as_a_whole(store, run):
    await store.set(run, "a", {"x": inline(1), "y": inline(2)})
    await pushed(store, run, "list", 1, 2)

    assert await store.compare_and_set(run, "a", {"y": inline(2)}, inline(0)) is False
    assert await store.compare_and_set(run, "a", {"y": inline(2), "x": inline(1)}, inline(0)) is True
    assert await store.compare_and_set(run, "list", [inline(1), inline(2)], [inline(3)]) is True
    assert await got(store, run, "a") == 0
    assert await got(store, run, "list") == [3]


async def test_a_part_of_a_dict_is_compared_too(store, run):
    await store.set(run, "a", {"b": {"c": inline(1)}})

    assert await store.compare_and_set(run, "a.b.c", inline(1), inline(2)) is True
    assert await got(store, run, "a") == {"b": {"c": 2}}


async def test_of_many_who_compare_at_once_one_wins_each_time(stores, run):
    await stores[0].set(run, "ticket", inline(0))

    async def draw(number):
        while True:
            there = await got(stores[number % 2], run, "ticket")
            if await stores[number % 2].compare_and_set(run, "ticket", inline(there), inline(there + 1)):
                return there

    async with asyncio.timeout(30):
        drawn = await asyncio.gather(*(draw(number) for number in range(8)))

    assert sorted(drawn) == list(range(8))


async def test_what_many_push_and_add_at_once_is_all_there_and_in_each_ones_order(stores, run):
    async def work(number):
        for step in range(40):
            await pushed(stores[number % 2], run, "results", (number, step))
            await stores[number % 2].increment(run, "count", 1)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(number) for number in range(16)))

    results = await got(stores[0], run, "results")
    assert await got(stores[0], run, "count") == 640
    assert [[step for by, step in results if by == number] for number in range(16)] == [list(range(40))] * 16


async def test_readers_in_between_lose_nothing(stores, run):
    async def write():
        for step in range(300):
            await pushed(stores[0], run, "results", step)
            await stores[0].increment(run, "count", 1)

    async def read():
        while not writing.done():
            results = await got(stores[1], run, "results") or []
            assert results == list(range(len(results)))
            await got(stores[1], run, "count")

    async with asyncio.timeout(60):
        writing = asyncio.ensure_future(write())
        await asyncio.gather(writing, read())

    assert await got(stores[0], run, "results") == list(range(300))
    assert await got(stores[1], run, "count") == 300
    await pushed(stores[0], run, "results", 300)
    assert len(await got(stores[0], run, "results")) == 301


async def test_a_change_that_counts_once_is_counted_once(stores, run):
    async def attempt(store):
        for number in range(1, 301):
            once = Once(writer="main:1/reduce", number=number)
            await pushed(store, run, "results", number, once=once)
            await store.increment(run, "count", 1, once=once)

    await attempt(stores[0])
    assert len(await got(stores[0], run, "results")) == 300
    await attempt(stores[1])
    await pushed(stores[0], run, "results", "other", once=Once(writer="main:1/other", number=1))

    assert await got(stores[0], run, "results") == [*range(1, 301), "other"]
    assert await got(stores[0], run, "count") == 300


async def test_tasks_that_set_different_parts_at_once_lose_nothing(stores, run):
    async with asyncio.timeout(30):
        await asyncio.gather(*(stores[number % 2].set(run, f"d.k{number}", inline(number)) for number in range(40)))

    assert await got(stores[0], run, "d") == {f"k{number}": number for number in range(40)}


async def test_one_who_is_cancelled_lets_the_next_one_write(store, run):
    writes = [asyncio.ensure_future(pushed(store, run, "a", number)) for number in range(10)]
    await asyncio.sleep(0)

    for write in writes[:5]:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)

    assert set(range(5, 10)) <= set(await got(store, run, "a"))


async def test_a_run_is_forgotten_as_a_whole_and_alone(store, run):
    await store.set(run, "a", inline(1))
    await store.set(run, "b.c", inline(1), section=META)
    await pushed(store, run, "list", 1)
    await store.set(f"{run}x", "a", inline(1))

    await store.drop(run)

    assert plain(await store.whole(run)) == {}
    assert plain(await store.whole(run, section=META)) == {}
    assert await got(store, f"{run}x", "a") == 1
    await store.set(run, "a", inline(2))
    assert await got(store, run, "a") == 2


@pytest.mark.parametrize("name", ["odd name", "größe", "_under", "a*b>c", "x" * 300, "$set", "\udc80", "\0"])
async def test_keys_may_hold_any_characters(store, run, name):
    await store.set(run, f"{name}.{name}", inline(1))
    await pushed(store, run, f"list.{name}", 2)

    assert await got(store, run, f"{name}.{name}") == 1
    assert plain(await store.whole(run)) == {name: {name: 1}, "list": {name: [2]}}


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", 5, None, "x" * 1_000_000, ".".join("x" * 30)])
async def test_a_key_that_cannot_be_is_refused_by_name(store, run, key):
    with pytest.raises(StoreTypeError, match="key") as refusal:
        await store.set(run, key, inline(1))

    assert len(str(refusal.value)) < 400
    assert plain(await store.whole(run)) == {}


@pytest.mark.parametrize("value", [None, True, 2**80, -1.5, float("inf"), "ü", b"\0\xff", (1, 2), {3}, "\udc80"])
async def test_plain_values_come_back_as_they_were(store, run, value):
    await store.set(run, "a", {"b": inline(value), "c": [inline(value), inline(value)]})

    back = await got(store, run, "a")
    assert back == {"b": value, "c": [value, value]}
    assert type(back["b"]) is type(value)


async def test_the_runs_that_have_data_are_known(store, run):
    await store.set(run, "a", inline(1))
    assert run in await store.runs()

    await store.drop(run)

    assert run not in await store.runs()
