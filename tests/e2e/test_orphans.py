"""Nothing that a task has started outlives it."""

import signal

from tests.e2e.process import has_ended
from tests.e2e.station import Station


async def test_no_process_of_a_killed_worker_is_left(station: Station):
    driver = await station.worker("workflow,dag")
    victim = await station.worker("task")
    station.gate("parent")
    run = await station.submit("family")
    async with station.following(run) as story:
        await story.begun("parent")
        family = station.processes().keys() - {driver.pid, victim.pid}
        assert len(family) >= 6  # two slots, and what the task has started

        await victim.kill()

        assert [pid for pid in family if not has_ended(pid, 5.0)] == []


async def test_what_a_task_has_started_ends_with_the_worker_that_leaves(station: Station):
    await station.worker("workflow,dag")
    leaving = await station.worker("task")
    gate = station.gate("parent")
    run = await station.submit("family")
    async with station.following(run) as story:
        await story.begun("parent")
        gate.open()
        await story.succeeds()

        leaving.send(signal.SIGTERM)

        assert await leaving.end() == 0, leaving.story
