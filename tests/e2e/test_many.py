"""Many runs at once, and runs of many dags, on few slots."""

import asyncio
from collections import Counter

import pytest

from nflow.core.events import RunFinished, Status
from nflow.models.workflow import load
from nflow.runs import Following
from tests.e2e.news import PATIENCE, News
from tests.e2e.station import WORKFLOWS, Station


async def run_at_once(station: Station, runs: int, patience: float) -> None:
    await station.worker(slots=2)
    client, news, ends = await station.client(), News(), []
    workflow = load(WORKFLOWS / "gated.py")

    def on_event(event, record):
        if isinstance(event, RunFinished):
            ends.append(event.status)
            news.tell()

    async with Following(client.engine, f"{client.engine.subjects.namespace}.event.*._.>", on_event):
        await asyncio.gather(*(client.submit(workflow, {"folder": str(station.folder)}) for _ in range(runs)))
        await news.until(lambda: len(ends) >= runs, patience)

    assert Counter(ends) == {Status.SUCCEEDED: runs}
    assert Counter(station.ledger()) == {"first": runs, "second": runs, "third": runs}


async def test_fifty_runs_at_once_succeed_on_one_worker_with_two_slots(station: Station):
    await run_at_once(station, 50, PATIENCE)


@pytest.mark.slow
async def test_two_hundred_runs_at_once_succeed_on_one_worker_with_two_slots(station: Station):
    await run_at_once(station, 200, 3 * PATIENCE)


async def test_a_task_starts_and_joins_a_hundred_dags(station: Station):
    await station.worker("workflow,dag,task,small", slots=2)

    run = await station.submit("sub_dags", count=100)

    async with station.following(run) as story:
        await story.succeeds()
        assert story.said("start_all")[-1] == "100 have ended"
        assert Counter(station.ledger()) == {"start_all": 1, "small": 100}


@pytest.mark.slow
async def test_a_task_starts_and_joins_a_thousand_dags(station: Station):
    await station.worker("workflow,dag,task,small", slots=2)

    run = await station.submit("sub_dags", count=1000)

    async with station.following(run) as story:
        await story.succeeds(3 * PATIENCE)
        assert story.said("start_all")[-1] == "1000 have ended"
        assert Counter(station.ledger()) == {"start_all": 1, "small": 1000}


async def test_dags_that_join_dags_ten_deep_end_on_one_slot(station: Station):
    await station.worker(slots=1)

    run = await station.submit("deep", depth=10)

    async with station.following(run) as story:
        await story.succeeds()
        assert story.said("descend") == [
            *["descend begins"] * 10,
            *(f"level {level} ends" for level in range(10, 0, -1)),
        ]
