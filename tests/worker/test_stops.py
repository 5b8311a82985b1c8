"""Stops reach the tasks of this worker, and none of them stops it."""

import asyncio

import pytest

from nflow.core.events import StopRequested
from nflow.core.ids import DagId, RunId
from nflow.wire.messages import pack_events
from nflow.worker.stops import MOST_REMEMBERED, Stops

RUN, DAG = RunId("run"), DagId("main:1")


class Heard:
    """The stops of a worker with one task, and what it was told."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.told: list[str] = []
        self.stops = Stops(engine, lambda: [(RUN, DAG)], self.told.append)
        self.log = engine.subjects.log(RUN, DAG)

    async def stop(self, *, run=RUN, dag=DAG, grace=None, payload=None):
        event = StopRequested(reason="enough", by="me", grace=grace)
        await self.engine.bus.append(self.engine.subjects.stop(run, dag), payload or pack_events([event]))
        for _ in range(5):
            await asyncio.sleep(0)

    def grace(self):
        return self.stops.of(self.log).grace


@pytest.fixture
def heard(engine):
    heard = Heard(engine)
    yield heard
    heard.stops.close()


async def test_a_stop_is_heard_at_once(heard):
    await heard.stop()

    assert heard.told == [heard.log]
    assert heard.stops.of(heard.log).reason == "enough"


async def test_the_stop_of_a_whole_run_is_not_the_stop_of_a_dag_run(heard):
    await heard.stop(dag=None)

    assert heard.stops.of(heard.log) is None


async def test_a_stop_that_was_not_heard_is_looked_up(heard, server):
    server.loses = lambda record: True
    await heard.stop()
    assert heard.told == []

    assert await heard.stops.check() == 1

    assert heard.told == [heard.log]
    assert await heard.stops.check() == 0


async def test_the_first_stop_counts(heard):
    await heard.stop(grace=2.0)
    await heard.stop()
    await heard.stop(grace=5.0)

    assert heard.told == [heard.log]
    assert heard.grace() == 2.0


async def test_a_later_stop_that_leaves_less_time_counts_too(heard):
    """A person who loses patience with a task that was only told to stop can still have it killed."""
    await heard.stop()
    await heard.stop(grace=5.0)
    await heard.stop(grace=0.0)

    assert len(heard.told) == 3
    assert heard.grace() == 0.0


async def test_a_broken_stop_hides_no_other(heard, caplog):
    await heard.stop(run=RunId("other"), payload=b"\xc1")
    await heard.stop(run=RunId("third"), payload=pack_events([]))

    await heard.stop()

    assert heard.told == [heard.log]
    assert "other" in caplog.text


async def test_not_every_stop_of_a_site_is_remembered(heard):
    for number in range(MOST_REMEMBERED + 10):
        await heard.engine.bus.append(
            heard.engine.subjects.stop(RunId(f"r{number}"), DAG), pack_events([StopRequested(reason="x", by="y")])
        )
    await asyncio.sleep(0)

    assert len(heard.stops._known) == MOST_REMEMBERED


async def test_a_closed_one_hears_no_more(heard):
    heard.stops.close()
    await heard.stop()

    assert heard.told == []
    assert heard.engine.reconciler._checks == {}
