"""Everything is killed again and again, and no run notices."""

import asyncio
import itertools
from collections import Counter

import pytest

from nflow.client import Following
from nflow.core.events import RunFinished, Status, TaskSucceeded
from nflow.models.workflow import load
from nflow.wire.subjects import event_place
from tests.e2e.news import PATIENCE, News
from tests.e2e.station import WORKFLOWS, Station


@pytest.mark.slow
async def test_a_hundred_runs_succeed_while_workers_and_the_server_are_killed(station: Station):
    runs, kills = 100, 8
    client, news = await station.client(), News()
    workers = {queues: await station.worker(queues) for queues in ("workflow,dag", "task", "workflow,dag,task")}
    ends: Counter[Status] = Counter()
    outcomes: Counter[tuple[str, str]] = Counter()

    def on_event(event, record):
        if isinstance(event, RunFinished):
            ends[event.status] += 1
        elif isinstance(event, TaskSucceeded):
            outcomes[event_place(record.subject).run, event.task] += 1
        news.tell()

    async with Following(client.engine, f"{client.engine.subjects.namespace}.event.>", on_event):
        workflow = load(WORKFLOWS / "gated.py")
        submitting = asyncio.ensure_future(submit_all(station, client, workflow, runs))
        for kill, queues in zip(range(1, kills), itertools.cycle([*workers, "server"])):
            await news.until(lambda kill=kill: outcomes.total() >= kill * 3 * runs // kills, 2 * PATIENCE)
            if queues == "server":
                station.server.restart()
            else:
                await workers[queues].kill()
                workers[queues] = await station.worker(queues)
        await submitting
        await news.until(lambda: ends.total() >= runs, 3 * PATIENCE)

    assert ends == {Status.SUCCEEDED: runs}
    assert len(outcomes) == 3 * runs
    assert set(outcomes.values()) == {1}


async def submit_all(station, client, workflow, runs):
    for _ in range(runs):
        await client.submit(workflow, {"folder": str(station.folder)})
