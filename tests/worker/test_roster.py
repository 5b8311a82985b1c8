"""Who is there: by beats, farewells and silence."""

import asyncio
from dataclasses import asdict

import pytest

from nflow.engine.serving import Served
from nflow.wire.frames import pack_plain, unpack_plain
from nflow.worker.duties import Duties
from nflow.worker.heartbeat import Heartbeat, workers
from nflow.worker.roster import Roster

GPU = Served(pythons={"gpu": frozenset({"py311"})})


class Changes:
    """How often there was something new, and the next time."""

    def __init__(self) -> None:
        self.count = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._news.set()

    async def next(self) -> None:
        async with asyncio.timeout(10):
            await self._news.wait()
        self._news.clear()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def beats(engine_of):
    """Makes the heartbeat of one more worker."""

    def make(name: str, *queues: str) -> Heartbeat:
        return Heartbeat(engine_of(name), Duties(queues=queues), lambda: (0, 0), "1")

    return make


def queues(roster: Roster) -> set[str]:
    return set(roster.served.pythons)


async def test_workers_that_are_there_are_known_from_the_beginning(engine, beats, changes):
    worker = beats("w1", "gpu")
    worker.start()
    async with Roster(engine, changes) as early:
        await changes.next()

        async with Roster(engine, lambda: None) as late:
            assert queues(late) == queues(early) == {"gpu"}
    await worker.close()


async def test_a_farewell_is_heard_at_once(engine, beats, changes):
    worker = beats("w1", "gpu")
    async with Roster(engine, changes) as roster:
        worker.start()
        await changes.next()

        await worker.close()
        await changes.next()

        assert roster.is_empty
        assert await workers(engine) == []


async def test_a_second_worker_of_a_queue_is_no_news_and_its_end_neither(engine, beats, changes):
    first, second = beats("w1", "gpu"), beats("w2", "gpu")
    async with Roster(engine, changes) as roster:
        first.start()
        await changes.next()

        second.start()
        await second.close()

        assert changes.count == 1
        assert queues(roster) == {"gpu"}
    await first.close()


async def test_a_worker_that_fell_silent_is_found_to_be_gone(engine, beats, changes, clock):
    worker = beats("w1", "gpu")
    async with Roster(engine, changes, silence=0.05) as roster:
        worker.start()
        await changes.next()

        worker._clock.cancel()
        await clock.advance(30.0)
        await changes.next()

        assert roster.is_empty


async def test_a_worker_that_this_process_cannot_hear_is_not_taken_for_gone(engine, beats, changes):
    worker = beats("w1", "gpu")
    read = asyncio.Event()
    async with Roster(engine, changes, silence=0.01) as roster:
        worker.start()
        await changes.next()
        roster._watch.close()
        all_of, engine.bus.read = engine.bus.read, lambda *given, **more: (read.set(), all_of(*given, **more))[1]

        async with asyncio.timeout(10):
            await read.wait()

        assert queues(roster) == {"gpu"}
        assert changes.count == 1
    await worker.close()


async def test_what_a_newer_worker_tells_beside_is_left_out(engine, beats, changes):
    worker = beats("w1", "gpu")
    worker.start()
    async with Roster(engine, changes):
        await changes.next()
    await worker.close()
    told = asdict(worker._entry()) | {"mood": "good"}

    await engine.bus.append(engine.subjects.kv("workers", "w1"), pack_plain(told))

    [entry] = await workers(engine)
    assert entry.worker == unpack_plain(pack_plain(told))["worker"]
