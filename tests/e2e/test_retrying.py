"""Runs that ended and go on, on real servers, whoever is killed meanwhile."""

from nflow.core.events import RunFinished, RunRetried, Status, TaskSucceeded
from nflow.core.ids import RunId
from tests.e2e.station import Station
from tests.e2e.story import TAKEOVER, Story


async def stopped(station: Station, story: Story) -> None:
    """Have the run stopped in its second task."""
    await story.begun("second")
    stop = await station.nflow("stop", "@last", "--grace", "0.1")
    assert await stop.end() == 0, stop.story
    assert (await story.finished()).status is Status.STOPPED


async def end(station: Station, run: RunId, opening: int = 1) -> Status:
    return (await (await station.client()).wait(run, opening=opening)).status


async def test_a_run_goes_on_though_the_worker_that_drives_it_is_killed_in_its_retry(station: Station):
    driver = await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await stopped(station, story)
        retry = await station.nflow("retry", "@last", "--no-follow")
        assert await retry.end() == 0, retry.story
        await story.begun("second", times=2)
        await station.worker("workflow,dag")

        killed = await driver.kill()
        gate.open()

        assert await end(station, run) is Status.SUCCEEDED
        assert station.ledger() == ["first", "second", "second", "third"]
        assert max(story.taken_over(killed)) < TAKEOVER
        assert [event.task for event in story.of(TaskSucceeded)] == ["first", "second", "third"]


async def test_a_run_is_retried_on_three_servers(replicated: Station):
    await replicated.worker()
    gate = replicated.gate("second")
    run = await replicated.submit("gated")
    async with replicated.following(run) as story:
        await stopped(replicated, story)
        gate.open()

        retry = await replicated.nflow("retry", "@last")

        assert await retry.end() == 0, retry.story
        assert replicated.ledger() == ["first", "second", "second", "third"]
        await story.has(RunFinished, times=2)
        assert [event.number for event in story.of(RunRetried)] == [1]


async def test_a_retry_that_nobody_was_there_for_outlives_the_server(station: Station):
    worker = await station.worker()
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await stopped(station, story)
    await worker.kill()
    gate.open()
    retry = await station.nflow("retry", "@last", "--no-follow")
    assert await retry.end() == 0, retry.story

    station.server.restart()
    await station.worker()

    assert await end(station, run) is Status.SUCCEEDED
    assert station.ledger() == ["first", "second", "second", "third"]
