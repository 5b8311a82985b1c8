"""Beginning again what has ended, while others still think of what was before."""

import asyncio

import pytest

from nflow.bus.memory import MemoryBus
from nflow.bus.port import Guard
from nflow.core.events import DagFinished, Provenance, Status, StopRequested, TaskFailed, TaskSucceeded
from nflow.core.ids import DagId, RunId, TaskId
from nflow.core.jobs import DagJob, TaskJob
from nflow.engine.dead_letters.giving_up import give_up
from nflow.engine.reopening import enqueue_anew, reopen_dag
from nflow.errors import Fenced
from nflow.wire.messages import pack_events, pack_job, unpack_events, unpack_job

RUN, DAG = RunId("r"), DagId("main:1")
NOBODY = Provenance(worker="w", host="h", pid=0, start=0.0, end=0.0)
EARLIER = TaskSucceeded(task=TaskId("t"), attempt=1, execution=1, provenance=NOBODY)
SUBJECT = "nflow.job.dag.dag.any.5.r.main=3A1"


def job(opening=0):
    return DagJob(run=RUN, workflow="w", spec="s", dag=DAG, queue="dag", opening=opening)


async def words(engine):
    page = await engine.bus.read(engine.subjects.stop(RUN, DAG))
    return [event for record in page.records for event in unpack_events(record.payload)]


async def reopen(engine, number, guard=None):
    await reopen_dag(engine, RUN, DAG, number=number, redo=(TaskId("t"),), guard=guard)


async def test_a_dag_run_is_reopened_once_however_often_that_is_asked(engine):
    for number in (1, 1, 2, 1):
        await reopen(engine, number)

    assert [event.number for event in await words(engine)] == [1, 2]


async def test_two_drivers_reopen_it_once(engine, other_engine):
    await asyncio.gather(reopen(engine, 1), reopen(other_engine, 1))

    assert [event.number for event in await words(engine)] == [1]


async def test_a_stop_that_came_since_tells_that_it_was_reopened(engine):
    stop = StopRequested(reason="enough", by="me", opening=1)
    await reopen(engine, 1)
    await engine.bus.append(engine.subjects.stop(RUN, DAG), pack_events([stop]))

    await reopen(engine, 1)

    assert (await words(engine))[-1] == stop


async def test_an_owner_of_long_ago_reopens_nothing(engine):
    with pytest.raises(Fenced):
        await reopen(engine, 1, Guard(engine.subjects.owner(RUN), 7))

    assert await words(engine) == []


async def test_a_job_takes_the_place_of_one_whose_work_is_over(bus):
    await bus.enqueue(SUBJECT, pack_job(job()))

    assert await enqueue_anew(bus, SUBJECT, job(1), lambda there: there.opening < 1)

    [record] = (await bus.read("nflow.job.>")).records
    assert unpack_job(record.payload) == job(1)


async def test_a_job_whose_work_goes_on_stays(bus):
    await bus.enqueue(SUBJECT, pack_job(job(1)))

    assert not await enqueue_anew(bus, SUBJECT, job(1), lambda there: there.opening < 1)

    assert len((await bus.read("nflow.job.>")).records) == 1


async def test_a_job_that_somebody_else_laid_down_meanwhile_is_not_taken_away(bus, other):
    """Removed by its subject, it would have been the new job of another client, and its run lost."""
    await bus.enqueue(SUBJECT, pack_job(job()))

    def is_over(there):
        if there.opening < 1:
            other._server.purge(SUBJECT, None)
            other._server.append(SUBJECT, pack_job(job(1)), None, None, None)
        return there.opening < 1

    assert not await enqueue_anew(bus, SUBJECT, job(1), is_over)

    [record] = (await bus.read("nflow.job.>")).records
    assert unpack_job(record.payload) == job(1)


async def test_the_earlier_job_goes_only_once_the_new_one_is_there(bus):
    """Were there none in between, a run whose client dies then would never go on, and nobody would know."""
    await bus.enqueue(SUBJECT, pack_job(job()))
    there = []

    async def look(subject):
        there.append(len((await MemoryBus.read(bus, subject)).records))

    bus.before_purge = look
    await enqueue_anew(bus, SUBJECT, job(1), lambda there: there.opening < 1)

    assert there == [2]


@pytest.mark.parametrize(("opening", "ends"), [(0, [0]), (1, [0, 1])])
async def test_a_dag_run_that_is_given_up_has_failed_once_for_each_opening(engine, opening, ends):
    subject = engine.subjects.dag_finished(RUN, DAG)
    await engine.bus.append(subject, pack_events([DagFinished(dag=DAG, status=Status.FAILED)]))

    await give_up(engine, job(opening), "no spec")

    records = (await engine.bus.read(subject)).records
    assert [unpack_events(record.payload)[0].opening for record in records] == ends


async def test_a_task_that_is_given_up_after_an_earlier_attempt_has_failed(engine):
    task = TaskJob(
        run=RUN, workflow="w", dag=DAG, task=TaskId("t"), name="t", attempt=2, queue="q", code="c", opening=1
    )
    subject = engine.subjects.task(RUN, DAG, TaskId("t"))
    await engine.bus.append(subject, pack_events([EARLIER]))

    await give_up(engine, task, "no code")

    [failed] = unpack_events((await engine.bus.last(subject)).payload)
    assert isinstance(failed, TaskFailed)
    assert failed.attempt == 2
