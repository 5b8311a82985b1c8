"""How far runs are, by their logs: whatever the index says of them."""

from dataclasses import replace

import pytest

from nflow.core.events import (
    DagRequested,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
)
from nflow.core.ids import DagName, RunId, WorkerId
from nflow.core.jobs import Reopening, WorkflowJob
from nflow.engine.runs import RunEntry
from nflow.engine.standing import ASKED_TO_STOP, active, by_their_logs
from nflow.wire.messages import pack_events, pack_job

RUN = RunId("r1")
WAITING = RunEntry(run=RUN, workflow="scan", state="waiting", queue="workflow", submitted=0.5)
RUNNING = replace(WAITING, state="running", started=0.6)
FAILED = replace(RUNNING, state="failed", ended=9.0, reason="why")
BEGUN = RunStarted(workflow="scan", spec="s", engine="1")
STOP = StopRequested(reason="stopped by a person", by="a person")
BAD_END = RunFinished(status=Status.FAILED, reason="why")
AGAIN = RunRetried(number=1, by="p")
JOB = WorkflowJob(run=RUN, workflow="scan", spec="s", queue="workflow", submitted=0.5)
REQUEST = DagRequested(key="k", dag=DagName("sub"), by="main:1/a")


@pytest.fixture
def log(bus, engine):
    """Writes events into the log of the run."""

    async def write(*events: Event) -> None:
        for event in events:
            is_asked = isinstance(event, StopRequested | DagRequested)
            subject = engine.subjects.ask(RUN) if is_asked else engine.subjects.own(RUN)
            await bus.append(subject, pack_events([event]))

    return write


@pytest.mark.parametrize("entry", [WAITING, RUNNING, replace(RUNNING, state="stopping"), FAILED])
@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "waiting"),
        ([BEGUN], "running"),
        ([BEGUN, REQUEST], "running"),
        ([STOP], "stopping"),
        ([BEGUN, STOP], "stopping"),
        ([BEGUN, STOP, REQUEST], "stopping"),
        ([BEGUN, BAD_END], "failed"),
        ([BEGUN, STOP, BAD_END], "failed"),
        ([BEGUN, BAD_END, STOP], "failed"),
        ([BEGUN, STOP, BAD_END, AGAIN], "running"),
        ([BEGUN, BAD_END, AGAIN, STOP], "stopping"),
    ],
)
async def test_a_run_is_in_the_state_that_its_log_tells_whatever_the_index_says(engine, log, entry, events, state):
    await log(*events)

    [told] = await by_their_logs(engine, [entry])

    assert told.state == state
    assert (told.ended is None) == (state != "failed")


async def test_an_entry_that_is_right_stays_as_it_is(engine, log):
    await log(BEGUN, BAD_END)

    assert await by_their_logs(engine, [FAILED]) == [FAILED]


async def test_of_a_stop_that_no_driver_has_taken_in_that_is_said(engine, log):
    await log(STOP)

    [told] = await by_their_logs(engine, [WAITING])

    assert told.reason == ASKED_TO_STOP


@pytest.mark.parametrize(("number", "state"), [(1, "waiting"), (0, "failed")])
async def test_a_run_that_was_retried_waits_while_that_job_does(engine, bus, log, number, state):
    await log(BEGUN, BAD_END)
    reopening = Reopening(number=number, by="p", after=2)
    await bus.enqueue(engine.subjects.job_workflow("workflow", RUN), pack_job(replace(JOB, reopening=reopening)))

    [told] = await by_their_logs(engine, [WAITING])

    assert told.state == state


async def test_a_log_that_cannot_be_read_leaves_the_entry_as_it_is(engine, bus, log):
    await log(BEGUN)
    await bus.append(engine.subjects.own(RUN), b"?")

    assert await by_their_logs(engine, [RUNNING]) == [RUNNING]


async def test_the_run_of_a_driver_that_died_at_its_end_does_not_go_on(engine, bus, log):
    await log(BEGUN, BAD_END)
    await engine.index.put(RUNNING)
    await bus.enqueue(engine.subjects.job_workflow("workflow", RUN), pack_job(JOB))

    assert await active(engine) == []


async def test_a_run_that_goes_on_is_found_by_its_job(engine, bus, log):
    await log(BEGUN)
    await engine.index.put(RUNNING)
    await engine.index.put(replace(FAILED, run=RunId("r0")))
    await bus.enqueue(engine.subjects.job_workflow("workflow", RUN), pack_job(JOB))

    assert await active(engine) == [RUNNING]


async def test_a_run_waits_that_was_submitted_by_somebody_who_died_before_the_index_knew(engine, bus):
    await bus.enqueue(engine.subjects.job_workflow("workflow", RUN), pack_job(JOB))

    assert await active(engine) == [WAITING]


async def test_a_job_that_cannot_be_read_and_is_of_an_unknown_run_tells_of_nothing(engine, bus):
    await bus.enqueue(engine.subjects.job_workflow("workflow", RUN), b"?")

    assert await active(engine) == []


async def test_any_number_of_runs_is_looked_at(engine, bus):
    entries = [replace(WAITING, run=RunId(f"r{number}")) for number in range(1500)]
    owner = pack_events([OwnerChanged(worker=WorkerId("w"))])
    await bus.append(engine.subjects.owner(RunId("r7")), owner)

    assert await by_their_logs(engine, entries) == entries
