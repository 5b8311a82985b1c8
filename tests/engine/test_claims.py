"""One execution's outcome, and only one, is ever recorded."""

import asyncio
from dataclasses import replace

import pytest

from nflow.bus.clock import SystemClock
from nflow.bus.memory import MemoryServer
from nflow.bus.port import LEASE
from nflow.core.events import (
    Provenance,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob
from nflow.engine.claims import LOST_EXECUTIONS, Claimer
from nflow.engine.engine import Engine
from nflow.engine.holdings import SETTLING
from nflow.errors import SchemaTooNew, TooLarge
from nflow.store.kv import KvStore
from nflow.testing.loop import VirtualTimeLoop
from nflow.wire.messages import pack_events, pack_job, unpack_events
from tests.engine.conftest import StageBus, Taken, settle

SUBJECT = "nflow.event.r.d=3A1.t"
JOB = TaskJob(
    run=RunId("r"), workflow="w", dag=DagId("d:1"), task=TaskId("t"), name="t", attempt=1, queue="q", code="c"
)
NOBODY = Provenance(worker="w", host="h", pid=0, start=0.0, end=0.0)
DONE = TaskSucceeded(task="t", attempt=1, execution=1, provenance=NOBODY)
QUEUE = "nflow.job.task.q.py.5.>"


async def yes() -> bool:
    return True


@pytest.fixture
async def taken(bus, clock):
    """The job, in the hands of `bus`, which may judge others."""
    await bus.enqueue("nflow.job.task.q.py.5.r.d=3A1.t.1", pack_job(JOB))
    await clock.advance(SETTLING)
    return (await Taken().open(bus, QUEUE)).jobs[0]


async def claimed(engine, job, task=JOB):
    engine.holdings.add(job, still_mine=yes, stand_down=lambda: None)
    return await Claimer(engine, "host").claim(job, task)


async def events(bus):
    return [event for record in (await bus.read(SUBJECT)).records for event in unpack_events(record.payload)]


async def jobs(bus):
    return (await bus.read("nflow.job.>")).records


async def test_a_claim_is_on_record_before_anything_runs(engine, bus, taken):
    claim = await claimed(engine, taken)

    assert claim.execution == 1
    assert await events(bus) == [TaskStarted(task="t", attempt=1, execution=1, worker="me", host="host")]


async def test_an_outcome_settles_the_attempt_and_the_job_is_gone(engine, bus, taken):
    claim = await claimed(engine, taken)

    assert await claim.settle(pack_events([DONE]))

    assert (await events(bus))[-1] == DONE
    assert await jobs(bus) == []
    assert len(engine.holdings) == 0


@pytest.mark.parametrize("settled", [DONE, TaskCancelled(task="t", reason="stopped")])
async def test_what_is_settled_is_not_claimed_again(engine, bus, taken, settled):
    await bus.append(SUBJECT, pack_events([settled]))

    assert await claimed(engine, taken) is None

    assert await events(bus) == [settled]
    assert await jobs(bus) == []
    assert len(engine.holdings) == 0


@pytest.mark.parametrize("earlier", [DONE, TaskCancelled(task="t", reason="stopped", attempt=1)])
async def test_the_end_of_an_earlier_attempt_does_not_settle_one_that_was_begun_again(engine, bus, taken, earlier):
    await bus.append(SUBJECT, pack_events([earlier]))

    claim = await claimed(engine, taken, replace(JOB, attempt=2))

    assert claim is not None
    assert [event.attempt for event in await events(bus)] == [1, 2]


async def test_a_successors_claim_makes_the_late_outcome_void(engine, other_engine, bus, clock, taken):
    first = await claimed(engine, taken)
    engine.holdings.discard(taken)  # it does not answer for it any more

    second = await _claimed_by_successor(other_engine, clock, taken)

    assert second.execution == 2
    assert not await first.settle(pack_events([DONE]))
    assert await second.settle(pack_events([DONE]))
    assert len(await events(bus)) == 3


async def _claimed_by_successor(engine, clock, job):
    claiming = asyncio.ensure_future(claimed(engine, job))
    await clock.advance(5.0)
    return await claiming


async def test_a_claim_of_a_living_worker_is_left_to_it(engine, other_engine, bus, clock, taken):
    await claimed(engine, taken)

    assert await _claimed_by_successor(other_engine, clock, taken) is None

    assert len(await events(bus)) == 1
    assert len(other_engine.holdings) == 0
    assert len(engine.holdings) == 1


async def test_a_released_claim_is_followed_by_another_and_nobody_counts_as_lost(engine, bus, taken):
    await (await claimed(engine, taken)).release()
    await settle()
    assert len(engine.holdings) == 0

    again = await claimed(engine, taken)

    assert (again.execution, again.lost) == (2, 0)
    assert [type(event) for event in await events(bus)] == [TaskStarted, TaskReleased, TaskStarted]


async def test_a_release_that_comes_too_late_leaves_the_job_alone(engine, bus, taken):
    claim = await claimed(engine, taken)
    successor = TaskStarted(task="t", attempt=1, execution=2, worker="other", host="h", lost=1)
    await bus.append(SUBJECT, pack_events([successor]))

    await claim.release()

    assert (await events(bus))[-1] == successor
    assert len(engine.holdings) == 0
    assert len(await jobs(bus)) == 1


async def test_an_attempt_that_took_three_workers_along_is_failed(engine, bus, taken):
    lost = TaskStarted(task="t", attempt=1, execution=3, worker="gone", host="far", lost=LOST_EXECUTIONS - 1)
    await bus.append(SUBJECT, pack_events([lost]))

    assert await claimed(engine, taken) is None

    [_, failed] = await events(bus)
    assert isinstance(failed, TaskFailed)
    assert "gone on far" in failed.error.message
    assert await jobs(bus) == []


async def test_two_who_claim_at_once_get_one_claim(engine, other_engine, bus, other, clock, taken):
    await other.enqueue("nflow.job.task.q.py.5.r.d=3A1.t.2", pack_job(JOB))
    engine.holdings.add(taken, still_mine=yes, stand_down=lambda: None)

    claims = asyncio.gather(Claimer(engine, "h").claim(taken, JOB), Claimer(other_engine, "h").claim(taken, JOB))
    await clock.advance(5.0)

    assert [claim is None for claim in await claims].count(False) == 1
    assert len(await events(bus)) == 1


async def test_a_claim_is_checked_against_what_the_driver_knew(engine, bus, taken):
    released = TaskReleased(task="t", attempt=1, execution=4)
    after = await bus.append(SUBJECT, pack_events([released]))

    claim = await claimed(engine, taken, TaskJob(**{**_fields(JOB), "after": after}))

    assert claim.execution == 1  # as the driver asked; the outcome is checked against this claim all the same
    assert claim.seq > after


def _fields(job):
    return {name: getattr(job, name) for name in ("run", "workflow", "dag", "task", "name", "attempt", "queue", "code")}


def test_a_claim_of_which_a_worker_heard_late_is_not_used_where_a_successor_has_one():
    """Once, a worker that was cut off in the middle of its claim ran the code hours after somebody else had."""

    class CutOff(StageBus):
        async def append(self, subject, payload, **options):
            seq = await super().append(subject, payload, **options)
            if subject == SUBJECT:
                later = TaskStarted(
                    task=TaskId("t"), attempt=1, execution=2, worker=WorkerId("other"), host="h", lost=1
                )
                await super().append(subject, pack_events([later]), expect=seq)
                await asyncio.sleep(LEASE)  # virtual time, in which the answer is on its way
            return seq

    async def claim_late():
        bus = CutOff(MemoryServer(SystemClock()))
        await bus.enqueue("nflow.job.task.q.py.5.r.d=3A1.t.1", pack_job(JOB))
        [job] = (await Taken().open(bus, QUEUE)).jobs
        engine = Engine(bus, WorkerId("me"), KvStore(bus))
        return await claimed(engine, job), engine.holdings

    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(lambda: False)) as runner:
        claim, holdings = runner.run(claim_late())

    assert claim is None
    assert len(holdings) == 0


async def test_an_outcome_that_is_too_large_is_told_and_another_may_follow(server, engine_of, clock):
    bus = StageBus(server, max_payload_bytes=2000)
    engine = engine_of(bus, "me")
    await bus.enqueue("nflow.job.task.q.py.5.r.d=3A1.t.1", pack_job(JOB))
    claim = await claimed(engine, (await Taken().open(bus, QUEUE)).jobs[0])

    with pytest.raises(TooLarge):
        await claim.settle(b"x" * 3000)

    assert await claim.settle(pack_events([DONE]))


async def test_an_event_of_a_newer_nflow_is_not_guessed_at(engine, bus, taken):
    payload = pack_events([DONE])
    await bus.append(SUBJECT, payload[:1] + b"\x63" + payload[2:])

    with pytest.raises(SchemaTooNew):
        await claimed(engine, taken)
