"""A task that stops its own dag or run: nothing that follows it starts, whatever other workers are doing meanwhile."""

import pytest

from nflow.core.events import DagFinished, Status, TaskCancelled
from tests.worker.crew import Scene, Site


@pytest.fixture
async def site():
    site = Site()
    yield site
    await site.close()


@pytest.mark.parametrize("call", [("stop_dag", ("main:1",)), ("stop_dag", ("main",)), ("stop_workflow", ())])
async def test_no_successor_starts_after_a_task_has_stopped_its_own_dag(site, call):
    driver = await site.crew("driver", "workflow")

    async def stop(scene: Scene) -> None:
        await scene.call(*call)
        driver.die()  # whoever drives the workflow may be slow, or away

    site.scripts["first"] = stop
    worker = await site.crew("worker", "dag", "task")

    run = await site.submit(main="first>second")

    [finished] = await site.has(run, DagFinished)
    assert finished.status is Status.STOPPED
    assert worker.played == ["first"]
    assert [event.task for event in await site.of(run, TaskCancelled)] == ["second"]
