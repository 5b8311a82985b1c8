"""The data of a run, shared by tasks that write at once."""

import asyncio

import pytest

from nflow.core.dataset import INLINE, Ref
from nflow.errors import StoreTypeError
from nflow.store.port import META


def ref(number):
    where = number.to_bytes(2, "big")
    return Ref(scheme=INLINE, where=where, size_bytes=2, digest="", type="int")


async def test_what_was_set_can_be_had(store, run):
    await store.set(run, "sample.name", ref(1))

    assert await store.get(run, "sample.name") == ref(1)
    assert await store.get(run, "sample") == {"name": ref(1)}
    assert await store.get(run, "sample.other") is None
    assert await store.get(run, "nix") is None


async def test_runs_and_sections_are_apart(store, run):
    await store.set(run, "a", ref(1))
    await store.set(run, "a", ref(2), section=META)

    assert await store.get(run, "a") == ref(1)
    assert await store.get(run, "a", section=META) == ref(2)
    assert await store.get(f"{run}x", "a") is None


async def test_parameters_are_there_from_the_beginning(store, run):
    await store.seed(run, {"energy": ref(12), "angle": ref(3)})

    assert await store.get(run, "energy") == ref(12)


async def test_64_tasks_push_at_once_and_none_is_lost(stores, run):
    async with asyncio.timeout(30):
        await asyncio.gather(*(stores[number % 2].extend(run, "results", [ref(number)]) for number in range(64)))

    results = await stores[0].get(run, "results")
    assert sorted(each.where for each in results) == sorted(ref(number).where for number in range(64))


async def test_tasks_that_set_different_keys_of_one_dict_at_once_lose_nothing(stores, run):
    async with asyncio.timeout(30):
        await asyncio.gather(*(stores[number % 2].set(run, f"d.k{number}", ref(number)) for number in range(40)))

    assert len(await stores[0].get(run, "d")) == 40


async def test_a_push_to_what_is_no_list_changes_nothing(store, run):
    await store.set(run, "a", ref(1))

    with pytest.raises(StoreTypeError):
        await store.extend(run, "a", [ref(2)])

    assert await store.get(run, "a") == ref(1)


async def test_one_who_is_cancelled_lets_the_next_one_write(store, run):
    writes = [asyncio.ensure_future(store.extend(run, "a", [ref(number)])) for number in range(10)]
    await asyncio.sleep(0)

    for write in writes[:5]:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)

    results = await store.get(run, "a")
    assert {ref(number).where for number in range(5, 10)} <= {each.where for each in results}


async def test_a_run_is_forgotten_as_a_whole_and_alone(store, run):
    await store.set(run, "a", ref(1))
    await store.set(run, "b.c", ref(1), section=META)
    await store.set(f"{run}x", "a", ref(1))

    await store.drop(run)

    assert await store.get(run, "a") is None
    assert await store.get(run, "b", section=META) is None
    assert await store.get(f"{run}x", "a") == ref(1)
    await store.set(run, "a", ref(2))
    assert await store.get(run, "a") == ref(2)


async def test_it_keeps_no_lock_of_a_key_that_nobody_writes(store, run):
    for number in range(20):
        await store.set(run, f"key{number}", ref(1))

    assert len(store._turns) == 0


@pytest.mark.parametrize("name", ["odd name", "größe", "_under", "a*b>c", "x" * 300])
async def test_keys_may_hold_any_characters(store, run, name):
    await store.set(run, name, ref(1))

    assert await store.get(run, name) == ref(1)
