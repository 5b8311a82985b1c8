"""A worker that was frozen for longer than its lease wakes up in a world that went on without it, and does no harm."""

import signal
import time

from nflow.core.events import OwnerChanged
from tests.e2e.process import has_ended
from tests.e2e.station import Station
from tests.e2e.story import TAKEOVER


async def test_the_code_of_a_worker_that_slept_past_its_lease_is_ended_when_it_wakes(station: Station):
    await station.worker("workflow,dag")
    sleeper = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("task")

        stopped = time.time()
        sleeper.send(signal.SIGSTOP)
        await story.begun("second", times=2)
        sleeper.send(signal.SIGCONT)
        await sleeper.until_says("successor has taken over")

        assert has_ended(station.pids("second")[0], 5.0)
        gate.open()
        await story.succeeds()
        assert station.ledger() == ["first", "second", "second", "third"]
        assert min(story.taken_over(stopped)) < TAKEOVER


async def test_a_late_outcome_of_a_worker_that_slept_past_its_lease_is_refused(station: Station):
    await station.worker("workflow,dag")
    sleeper = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        successor = await station.worker("task")

        sleeper.send(signal.SIGSTOP)
        await story.begun("second", times=2)
        gate.open()  # both ends of the task are reached; that of the sleeper waits in its pipe
        await story.succeeds()
        await successor.kill()
        sleeper.send(signal.SIGCONT)

        # once it has done another run, everything that it had to say of the first has been said
        async with station.following(await station.submit("gated")) as another:
            await another.succeeds()
        story.has_one_outcome_each()


async def test_a_driver_that_slept_past_its_lease_stands_down(station: Station):
    sleeper = await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("workflow,dag")
        owners = len(story.of(OwnerChanged))

        stopped = time.time()
        sleeper.send(signal.SIGSTOP)
        await story.has(OwnerChanged, times=owners + 2)
        sleeper.send(signal.SIGCONT)
        await sleeper.until_says("another worker drives it now", times=2)
        gate.open()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]
        assert max(story.taken_over(stopped)[:2]) < TAKEOVER
