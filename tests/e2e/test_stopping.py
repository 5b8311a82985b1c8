"""A stop that really stops."""

import signal

import pytest

from nflow.core.events import Status, TaskCancelled
from tests.e2e.process import has_ended
from tests.e2e.station import Station


async def test_a_stop_ends_a_task_that_never_looks_whether_it_is_to_stop(station: Station):
    await station.worker()
    station.gate("stubborn")
    waiting = await station.nflow("start", "--wait", *station.workflow("stubborn"))
    async with station.following(await waiting.first_line()) as story:
        await story.begun("stubborn")

        stop = await station.nflow("stop", "@last", "--grace", "0.2")

        assert await stop.end() == 0, stop.story
        finished = await story.finished()
        assert finished.status is Status.STOPPED
        assert await waiting.end() == 1
        assert [event.task for event in story.of(TaskCancelled)] == ["after", "stubborn"]
        assert has_ended(station.pids("stubborn")[0], 5.0)


@pytest.mark.slow
async def test_a_stop_ends_a_task_that_ignores_being_asked(station: Station):
    await station.worker()
    station.gate("stubborn")
    run = await station.submit("stubborn", deaf=True)
    async with station.following(run) as story:
        await story.begun("stubborn")

        stop = await station.nflow("stop", "@last", "--grace", "0.2")

        assert await stop.end() == 0, stop.story
        assert (await story.finished()).status is Status.STOPPED
        assert has_ended(station.pids("stubborn")[0], 5.0)


async def test_a_stop_reaches_a_task_that_looks(station: Station):
    await station.worker()
    run = await station.submit("polite")
    async with station.following(run) as story:
        await story.begun("polite")

        stop = await station.nflow("stop", str(run)[:-1], "--grace", "60")

        assert await stop.end() == 0, stop.story
        assert (await story.finished()).status is Status.STOPPED
        assert story.of(TaskCancelled) == []


async def test_a_stop_holds_for_a_worker_that_was_away(station: Station):
    await station.worker("task")
    run = await station.submit("gated")

    stop = await station.nflow("stop", run)
    assert await stop.end() == 0, stop.story
    await station.worker("workflow,dag")

    async with station.following(run) as story:
        assert (await story.finished()).status is Status.STOPPED
        assert station.ledger() == []


async def test_ctrl_c_stops_the_run_that_it_shows(laptop: Station):
    process = await laptop.nflow("run", *laptop.workflow("polite"))
    await process.until_says("polite begins")

    process.send(signal.SIGINT)

    assert await process.end() == 130, process.story
    assert any("stopped" in line for line in process.out)
