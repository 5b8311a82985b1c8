"""Who holds what: nobody's work is taken away without asking."""

import pytest

from nflow.bus.port import LEASE
from nflow.core.events import OwnerChanged
from nflow.core.ids import WorkerId
from nflow.engine.holdings import SETTLING, Verdict
from nflow.engine.ownership import NotOwner, still_owner, take_ownership
from nflow.wire.messages import unpack_events
from tests.engine.conftest import settle

OWNER = "nflow.event.r.d._owner"
OTHER = WorkerId("other")


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def hold(engine, job, still_mine=yes):
    stood_down: list[str] = []
    held = engine.holdings.add(job, still_mine=still_mine, stand_down=lambda: stood_down.append(job.subject))
    return held, stood_down


async def judged(engine, job, clock, holder=OTHER):
    """The verdict, while time passes."""
    import asyncio

    verdict = asyncio.ensure_future(engine.holdings.verdict(job, holder))
    await clock.advance(5.0)
    return await verdict


async def test_a_job_is_held_until_it_is_discarded(engine, job):
    assert hold(engine, job)[0]
    assert job.subject in engine.holdings
    assert len(engine.holdings) == 1

    engine.holdings.discard(job)

    assert len(engine.holdings) == 0


async def test_a_second_delivery_of_a_held_job_means_nothing(engine, bus, taken, job):
    hold(engine, job)
    await bus.withdraw(job.subject)
    await bus.enqueue(job.subject, b"again")
    await settle()
    again = taken.jobs[1]

    assert not hold(engine, again)[0]
    engine.holdings.discard(again)

    assert job.subject in engine.holdings


async def test_a_worker_that_is_gone_is_told_by_silence(engine, clock, job):
    await clock.advance(SETTLING)

    assert await judged(engine, job, clock) is Verdict.TAKE


async def test_a_worker_that_holds_the_job_keeps_it(engine, other_engine, clock, job):
    await clock.advance(SETTLING)
    hold(other_engine, job)

    assert await judged(engine, job, clock) is Verdict.HAND_BACK


async def test_a_worker_that_does_not_hold_it_says_so(engine, other_engine, clock, job):
    await clock.advance(SETTLING)

    assert await judged(engine, job, clock) is Verdict.TAKE


async def test_a_worker_that_is_there_but_silent_is_taken_for_gone(engine, other, clock, job):
    import asyncio

    async def never(_: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""

    await clock.advance(SETTLING)
    other.answer(engine.subjects.holder(OTHER), never)

    assert await judged(engine, job, clock) is Verdict.TAKE


async def test_a_worker_that_says_so_itself_is_believed_at_once(engine, other_engine, job):
    assert await engine.holdings.verdict(job, OTHER) is Verdict.TAKE

    hold(other_engine, job)

    assert await engine.holdings.verdict(job, OTHER) is Verdict.HAND_BACK


async def test_silence_is_no_verdict_right_after_a_reconnect(engine, bus, clock, job):
    bus.cut()
    await clock.advance(1.0)
    bus.mend()
    await clock.advance(SETTLING / 2)

    assert await engine.holdings.verdict(job, OTHER) is Verdict.HAND_BACK


async def test_what_this_very_worker_held_before_is_free_to_take(engine, job):
    assert await engine.holdings.verdict(job, engine.worker) is Verdict.TAKE


async def test_after_a_late_renewal_the_log_decides_and_the_lease_goes_on(engine, bus, taken, clock, job):
    _, stood_down = hold(engine, job, yes)

    bus.cut()
    await clock.advance(LEASE + 0.1)
    bus.mend()
    await clock.advance(5 * LEASE)

    assert stood_down == []
    assert job.subject in engine.holdings


async def test_after_a_late_renewal_the_log_decides_and_the_holder_stands_down(engine, bus, clock, job):
    _, stood_down = hold(engine, job, no)

    bus.cut()
    await clock.advance(LEASE + 0.1)
    bus.mend()
    await settle()

    assert stood_down == [job.subject]
    assert len(engine.holdings) == 0


# --- owning a log ----------------------------------------------------------------------------------------------------


async def test_the_first_who_comes_owns_the_log(engine, bus, job):
    hold(engine, job)

    guard = await take_ownership(bus, job, OWNER, engine.holdings)

    record = await bus.last(OWNER)
    assert (guard.subject, guard.seq) == (OWNER, record.seq)
    assert unpack_events(record.payload) == [OwnerChanged(worker=engine.worker)]


async def test_a_dead_owner_has_a_successor_and_knows_it_when_it_wakes(engine, other_engine, bus, other, clock, job):
    hold(other_engine, job)
    earlier = await take_ownership(other, job, OWNER, other_engine.holdings)
    other.kill()
    await clock.advance(SETTLING)
    hold(engine, job)

    guard = await take_ownership(bus, job, OWNER, engine.holdings)

    assert await still_owner(bus, guard)
    assert not await still_owner(bus, earlier)


async def test_a_living_owner_stays_and_the_job_rests(engine, other_engine, bus, other, clock, job):
    hold(other_engine, job)
    await take_ownership(other, job, OWNER, other_engine.holdings)
    await clock.advance(SETTLING)
    hold(engine, job)

    with pytest.raises(NotOwner):
        await take_ownership(bus, job, OWNER, engine.holdings)

    assert len(engine.holdings) == 0
