"""What tasks wait for: answers to their requests, and the ends of dag runs."""

import asyncio

import pytest
from msgpack import packb

from nflow.core.events import DagFinished, DagRefused, DagStarted, RunFinished, Status
from nflow.core.ids import DagId, RunId
from nflow.errors import DagNameUnknown, SchemaTooNew
from nflow.wire.messages import SCHEMA, pack_events
from nflow.worker.runwatches import MOST_IDLE, RunWatches

RUN = RunId("run")
OWN = DagId("main:1")


@pytest.fixture
def watches(engine):
    watches = RunWatches(engine)
    yield watches
    watches.close()


@pytest.fixture
def tell(engine):
    """Writes what the driver of the workflow would."""

    async def append(*events, run=RUN):
        await engine.bus.append(engine.subjects.own(run), pack_events(events))

    return append


async def settle():
    for _ in range(60):
        await asyncio.sleep(0)


def started(number, key=None):
    return DagStarted(key=key or f"key{number}", dag=DagId(f"sub:{number}"))


def finished(number):
    return DagFinished(dag=DagId(f"sub:{number}"), status=Status.SUCCEEDED)


async def test_an_answer_that_is_on_record_is_known_at_once(watches, tell):
    await tell(started(1))

    async with watches.of(RUN) as watch:
        assert await watch.answer("key1") == "sub:1"


async def test_an_answer_is_waited_for(watches, tell):
    async with watches.of(RUN) as watch:
        asking = asyncio.ensure_future(watch.answer("key1"))
        await settle()
        assert not asking.done()

        await tell(started(1))

        assert await asking == "sub:1"


async def test_a_refusal_is_none_and_a_wrong_name_an_error(watches, tell):
    await tell(DagRefused(key="late", reason="the run is stopping"), DagRefused(key="nix", reason="no", unknown=True))

    async with watches.of(RUN) as watch:
        assert await watch.answer("late") is None
        with pytest.raises(DagNameUnknown):
            await watch.answer("nix")


@pytest.mark.parametrize("names", [None, frozenset({DagId("sub:1")})])
async def test_nobody_waits_longer_than_the_run(watches, tell, names):
    await tell(started(1))
    async with watches.of(RUN) as watch:
        waits = [
            asyncio.ensure_future(watch.answer("never")),
            asyncio.ensure_future(watch.until(lambda: not watch.running(names, OWN))),
        ]
        await settle()

        await tell(RunFinished(status=Status.STOPPED))

        async with asyncio.timeout(5):
            assert await asyncio.gather(*waits) == [None, None]


async def test_a_join_waits_for_the_dags_that_it_names(watches, tell):
    await tell(started(1), started(2), started(3))
    async with watches.of(RUN) as watch:
        names = [DagId("sub:1"), DagId("sub:2")]
        joining = asyncio.ensure_future(watch.until(lambda: not watch.running(names, OWN)))
        await tell(finished(1))
        await settle()
        assert not joining.done()

        await tell(finished(2))

        await joining
        assert watch.running(None, OWN) == {"sub:3"}


async def test_a_join_of_all_waits_for_all_but_its_own(watches, tell):
    await tell(DagStarted(key="autostart/main", dag=OWN), started(1))
    async with watches.of(RUN) as watch:
        joining = asyncio.ensure_future(watch.until(lambda: not watch.running(None, OWN)))
        await settle()
        assert not joining.done()

        await tell(finished(1))

        await joining


async def test_an_end_that_is_read_before_its_start_counts(watches, tell):
    await tell(finished(1), started(1))

    async with watches.of(RUN) as watch:
        assert not watch.running([DagId("sub:1")], OWN)


async def test_a_push_that_was_lost_is_found_by_the_tick(watches, tell, engine, server):
    async with watches.of(RUN) as watch:
        asking = asyncio.ensure_future(watch.answer("key1"))
        await settle()
        server.loses = lambda record: True
        await tell(started(1))

        await engine.reconciler.tick()

        assert await asking == "sub:1"


async def test_one_who_is_cancelled_leaves_the_others_waiting(watches, tell):
    async with watches.of(RUN) as watch:
        first, second = (asyncio.ensure_future(watch.answer("key1")) for _ in range(2))
        await settle()
        first.cancel()
        await tell(started(1))

        assert await second == "sub:1"


async def test_tasks_of_one_run_share_a_watch(watches, engine):
    async with watches.of(RUN) as first, watches.of(RUN) as second:
        assert first is second
        assert len(engine.bus._watching) == 1


async def test_the_watch_of_a_run_that_is_over_is_not_kept(watches, tell, engine):
    async with watches.of(RUN):
        await tell(RunFinished(status=Status.SUCCEEDED))
        await settle()

    assert engine.bus._watching == []
    assert engine.reconciler._checks == {}


async def test_watches_that_nobody_uses_are_kept_for_a_while_but_not_all(watches, engine):
    for number in range(MOST_IDLE + 20):
        async with watches.of(RunId(f"run{number}")):
            pass

    assert len(engine.bus._watching) == MOST_IDLE


async def test_a_watch_in_use_is_kept(watches, engine):
    async with watches.of(RUN) as mine:
        for number in range(MOST_IDLE + 20):
            async with watches.of(RunId(f"run{number}")):
                pass
        async with watches.of(RUN) as again:
            assert again is mine


async def test_a_damaged_record_keeps_nobody_from_the_others(watches, engine, tell):
    await engine.bus.append(engine.subjects.own(RUN), b"\xc1 broken")
    await tell(started(1))

    async with watches.of(RUN) as watch:
        assert await watch.answer("key1") == "sub:1"


async def test_a_log_that_cannot_be_read_is_tried_again_by_the_next_one(watches, engine, tell):
    await engine.bus.append(engine.subjects.own(RUN), packb((SCHEMA + 1, ())))
    with pytest.raises(SchemaTooNew):
        async with watches.of(RUN) as watch:
            await watch.answer("key1")
    await engine.bus.purge(engine.subjects.own(RUN))
    await tell(started(1))

    async with watches.of(RUN) as watch:
        assert await watch.answer("key1") == "sub:1"


async def test_a_worker_that_closes_leaves_nobody_waiting(watches, engine):
    async def ask():
        async with watches.of(RUN) as watch:
            await watch.answer("never")

    asking = asyncio.ensure_future(ask())
    await settle()

    watches.close()
    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert engine.bus._watching == []
