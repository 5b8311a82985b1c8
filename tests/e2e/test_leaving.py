"""How a worker leaves: the first signal drains, the second hands back, the third kills."""

import signal
import time

from nflow.core.events import OwnerChanged
from tests.e2e.process import has_ended
from tests.e2e.station import Station
from tests.e2e.story import TAKEOVER


async def test_a_worker_that_is_asked_to_leave_ends_its_task_and_takes_no_other(station: Station):
    await station.worker("workflow,dag")
    leaving = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")

        leaving.send(signal.SIGTERM)
        await leaving.until_says("draining")
        gate.open()

        assert await leaving.end() == 0, leaving.story
        await station.worker("task")
        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]
        first, second, third = story.claims()
        assert first.worker == second.worker != third.worker


async def test_a_worker_that_is_asked_twice_gives_its_task_to_another(station: Station):
    await station.worker("workflow,dag")
    leaving = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("task")

        leaving.send(signal.SIGTERM)
        await leaving.until_says("draining")
        asked = time.time()
        leaving.send(signal.SIGTERM)

        assert await leaving.end() == 0, leaving.story
        await story.begun("second", times=2)
        gate.open()
        await story.succeeds()
        assert station.ledger() == ["first", "second", "second", "third"]
        first, second = story.claims("second")
        assert first.worker != second.worker
        assert second.lost == 0
        assert min(story.taken_over(asked)) < TAKEOVER


async def test_a_worker_that_is_asked_three_times_is_gone_at_once(station: Station):
    await station.worker("workflow,dag")
    leaving = await station.worker("task")
    station.gate("stubborn")
    run = await station.submit("stubborn", deaf=True)
    async with station.following(run) as story:
        await story.begun("stubborn")

        leaving.send(signal.SIGTERM)
        await leaving.until_says("draining")
        leaving.send(signal.SIGTERM)
        await leaving.until_says("handing back")
        asked = time.time()
        leaving.send(signal.SIGTERM)

        assert await leaving.end() == 1
        assert time.time() - asked < 1.0
        assert has_ended(station.pids("stubborn")[0], 5.0)


async def test_drivers_are_handed_over_at_once_when_a_worker_leaves(station: Station):
    leaving = await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("workflow,dag")
        owners = len(story.of(OwnerChanged))

        leaving.send(signal.SIGTERM)
        assert await leaving.end() == 0, leaving.story
        await story.has(OwnerChanged, times=owners + 2)
        gate.open()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]


async def test_an_idle_worker_leaves_though_the_server_is_away(station: Station):
    worker = await station.worker()

    station.server.kill()
    worker.send(signal.SIGTERM)

    assert await worker.end() == 0, worker.story
    station.server.start()
