"""Nothing that a task has started outlives it."""

import signal

from nflow.core.events import Status
from tests.e2e.process import has_ended
from tests.e2e.station import Station
from tests.e2e.story import Story


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


def strays(story: Story) -> list[int]:
    return [int(line.text.split()[1]) for _, line in story.lines if line.text.startswith("stray ")]


async def test_a_program_that_has_left_its_group_ends_with_a_stopped_task(station: Station):
    await station.worker(slots=1)
    station.gate("parent")
    run = await station.submit("stray")
    async with station.following(run) as story:
        await story.until(lambda: bool(strays(story)))

        await (await station.nflow("stop", run, "--now")).end()

        assert (await story.finished()).status is Status.STOPPED
        assert station.processes().keys().isdisjoint(strays(story))


async def test_a_program_that_outlived_its_worker_ends_before_its_task_begins_again_on_that_machine(station: Station):
    first = await station.worker(slots=1)
    station.gate("parent")
    run = await station.submit("stray")
    async with station.following(run) as story:
        await story.until(lambda: bool(strays(story)))
        [stray] = strays(story)
        await first.kill()
        assert stray in station.processes()

        await station.worker(slots=1)

        await story.until(lambda: len(strays(story)) == 2)
        assert stray not in station.processes()
        await (await station.nflow("stop", run, "--now")).end()
        await story.finished()
