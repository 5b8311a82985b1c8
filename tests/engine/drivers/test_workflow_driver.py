"""One run and its driver: starts, requests, stops and the end."""

import asyncio

import pytest

from nflow.core.dataset import INLINE, Ref
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagRequested,
    DagStarted,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
)
from nflow.core.ids import DagId, DagName, RunId, WorkerId
from nflow.core.jobs import DagJob, Reopening, WorkflowJob
from nflow.core.spec import DagSpec, WorkflowSpec
from nflow.engine.drivers import deadline
from nflow.engine.drivers.workflow_driver import WorkflowDriver
from nflow.engine.holdings import SETTLING
from nflow.errors import Fenced
from nflow.wire.messages import pack_events, pack_job, pack_spec, unpack_events, unpack_job
from tests.engine.conftest import Taken, settle

RUN = RunId("r")
FIVE = Ref(scheme=INLINE, where=b"\x05", size_bytes=1, digest="", type="int")


class Stage:
    """A run in the hands of a driver; the test plays its dags and tasks."""

    def __init__(self, engine, job, message):
        self.engine = engine
        self.job = job
        self.driving = asyncio.ensure_future(WorkflowDriver(engine, job, message).drive())

    @property
    def bus(self):
        return self.engine.bus

    async def ask(self, event):
        await self.bus.append(self.engine.subjects.ask(RUN), pack_events([event]))
        await settle()

    async def finish(self, dag, status=Status.SUCCEEDED):
        finished = DagFinished(dag=DagId(dag), status=status)
        await self.bus.append(self.engine.subjects.dag_finished(RUN, DagId(dag)), pack_events([finished]), expect=0)
        await settle()

    async def jobs(self):
        records = (await self.bus.read("nflow.job.dag.>")).records
        return {job.dag: job for record in records if isinstance(job := unpack_job(record.payload), DagJob)}

    async def of(self, kind):
        page = await self.bus.read(self.engine.subjects.run_events(RUN))
        return [event for record in page.records for event in unpack_events(record.payload) if isinstance(event, kind)]

    async def ended(self):
        async with asyncio.timeout(10):
            await self.driving
        return await self.of(RunFinished)


@pytest.fixture
async def stage_of(engine):
    """Begins to drive a run whose dags are named; `sub` is started by tasks only."""
    stages, taken = [], Taken()

    async def begin(*dags, on=None, reopening=None, deadline=None):
        on = on or engine
        specs = {DagName(name): DagSpec(name=DagName(name), tasks=(), autostart=name != "sub") for name in dags}
        spec = WorkflowSpec(name="w", dags=specs, python="py", engine="0", deadline=deadline)
        message = WorkflowJob(
            run=RUN,
            workflow="w",
            spec=await on.blobs.put_code(pack_spec(spec)),
            queue="workflow",
            parameters={"number": FIVE},
            reopening=reopening,
        )
        if not stages or reopening is not None:
            await on.bus.enqueue(on.subjects.job_workflow("workflow", RUN), pack_job(message))
            job = (await taken.open(on.bus, "nflow.job.workflow.>")).jobs[-1]
        else:
            job = stages[0].job
        stages.append(Stage(on, job, message))
        await settle()
        return stages[-1]

    yield begin
    for stage in stages:
        stage.driving.cancel()
    await asyncio.gather(*(stage.driving for stage in stages), return_exceptions=True)


async def test_a_run_begins_with_its_parameters_and_its_dags(stage_of):
    stage = await stage_of("main", "sub")

    assert [event.workflow for event in await stage.of(RunStarted)] == ["w"]
    assert set(await stage.jobs()) == {"main:1"}
    assert await stage.engine.store.get(RUN, "number") == FIVE
    entry = await stage.engine.index.get(RUN)
    assert entry.state == "running"
    assert entry.started is not None


async def test_a_run_that_succeeded_is_forgotten_but_for_its_events(stage_of):
    stage = await stage_of("main")
    blob = await stage.engine.blobs.put(RUN, b"data", "bytes")

    await stage.finish("main:1")

    [finished] = await stage.ended()
    assert finished.status is Status.SUCCEEDED
    assert await stage.engine.store.get(RUN, "number") is None
    assert (await stage.bus.read(f"{blob.where}.*")).records == []
    assert (await stage.engine.index.get(RUN)).state == "succeeded"


async def test_a_run_that_failed_keeps_its_data(stage_of):
    stage = await stage_of("main")
    blob = await stage.engine.blobs.put(RUN, b"data", "bytes")

    await stage.finish("main:1", Status.FAILED)

    [finished] = await stage.ended()
    assert finished.reason == "main:1 failed"
    assert await stage.engine.store.get(RUN, "number") == FIVE
    assert await stage.engine.blobs.get(blob) == b"data"


async def test_what_tasks_handed_on_stays_while_a_dag_of_the_run_goes_on(stage_of):
    stage = await stage_of("main", "other")
    blob = await stage.engine.blobs.put(RUN, b"data", "bytes")

    await stage.finish("main:1")

    assert await stage.engine.blobs.get(blob) == b"data"


async def test_a_request_is_granted_once_however_often_it_is_made(stage_of):
    stage = await stage_of("main", "sub")

    for _ in range(3):
        await stage.ask(DagRequested(key="k", dag=DagName("sub"), by="main:1/a"))

    assert [event.dag for event in await stage.of(DagStarted)] == ["main:1", "sub:1"]
    assert set(await stage.jobs()) == {"main:1", "sub:1"}


async def test_a_request_for_what_is_not_there_is_refused(stage_of):
    stage = await stage_of("main")

    await stage.ask(DagRequested(key="k", dag=DagName("nix"), by="main:1/a"))

    [refused] = await stage.of(DagRefused)
    assert refused.unknown


async def test_a_stop_goes_to_all_dags_and_into_the_index(stage_of):
    stage = await stage_of("main", "other")

    await stage.ask(StopRequested(reason="enough", by="me", grace=3.0))

    for dag in ("main:1", "other:1"):
        record = await stage.bus.last(stage.engine.subjects.stop(RUN, DagId(dag)))
        [stop] = unpack_events(record.payload)
        assert (stop.reason, stop.grace) == ("enough", 3.0)
    assert (await stage.engine.index.get(RUN)).state == "stopping"


async def test_a_request_that_was_not_pushed_keeps_the_run_from_ending(stage_of, server):
    stage = await stage_of("main", "sub")
    server.loses = lambda record: record.subject.endswith("_ask")

    await stage.ask(DagRequested(key="k", dag=DagName("sub"), by="main:1/a"))
    await stage.finish("main:1")

    assert await stage.of(RunFinished) == []
    assert "sub:1" in await stage.jobs()
    await stage.finish("sub:1")
    assert len(await stage.ended()) == 1


async def test_a_request_that_is_pushed_in_the_moment_of_the_last_look_keeps_the_run_from_ending(stage_of, bus, other):
    """Once, the look found nothing, for the push had been faster, and the run ended with a dag running."""
    stage = await stage_of("main", "sub")
    asked = []

    async def ask_first(subject):
        if subject == stage.engine.subjects.log(RUN) and not asked:
            asked.append(subject)
            request = DagRequested(key="k", dag=DagName("sub"), by="main:1/a")
            await other.append(stage.engine.subjects.ask(RUN), pack_events([request]))
            await settle()

    bus.before_read = ask_first
    await stage.finish("main:1")
    await settle()  # the one above went by while it was asked

    assert asked
    assert await stage.of(RunFinished) == []
    await stage.finish("sub:1")
    assert len(await stage.ended()) == 1


async def test_a_stop_that_is_pushed_in_the_moment_of_the_last_look_counts(stage_of, bus, other):
    """Once, the run was recorded as succeeded, for that was so when the look began."""
    stage = await stage_of("main")
    asked = []

    async def stop_first(subject):
        if subject == stage.engine.subjects.log(RUN) and not asked:
            asked.append(subject)
            await other.append(stage.engine.subjects.ask(RUN), pack_events([StopRequested(reason="enough", by="me")]))
            await settle()

    bus.before_read = stop_first
    await stage.finish("main:1")

    [finished] = await stage.ended()
    assert asked
    assert finished.status is Status.STOPPED


async def test_what_an_earlier_driver_says_late_does_not_replace_the_end_in_the_index(
    stage_of, other_engine, bus, clock
):
    """Once, the run was listed as running for ever."""

    async def cut_off(subject):
        if subject == note:
            bus.cut()

    note = other_engine.subjects.kv("runs", RUN)
    bus.before_append = cut_off
    await stage_of("main")
    await clock.advance(SETTLING)
    second = await stage_of("main", on=other_engine)
    await second.finish("main:1")
    await second.ended()

    bus.mend()
    await settle()

    assert (await other_engine.index.get(RUN)).state == "succeeded"


async def test_a_driver_that_takes_over_starts_what_was_granted_but_not_started(stage_of, other_engine, bus, clock):
    async def die(subject):
        if subject.startswith("nflow.job.dag"):
            bus.kill()
            await asyncio.Event().wait()

    bus.before_append = die
    first = await stage_of("main")
    first.driving.cancel()
    await clock.advance(SETTLING)

    second = await stage_of("main", on=other_engine)

    assert set(await second.jobs()) == {"main:1"}
    assert len(await second.of(RunStarted)) == 1


async def test_a_driver_that_takes_over_an_ended_run_clears_up_after_it(stage_of, other_engine, bus, clock):
    async def die(subject):
        if subject == first_note and await bus.last(owner):
            events = (await bus.read("nflow.event.r._._log")).records
            if any(isinstance(event, RunFinished) for record in events for event in unpack_events(record.payload)):
                bus.kill()
                await asyncio.Event().wait()

    first_note, owner = other_engine.subjects.kv("runs", RUN), other_engine.subjects.owner(RUN)
    bus.before_append = die
    first = await stage_of("main")
    await first.finish("main:1")
    first.driving.cancel()
    await clock.advance(SETTLING)

    second = await stage_of("main", on=other_engine)

    assert len(await second.ended()) == 1
    assert (await second.engine.index.get(RUN)).state == "succeeded"
    assert await second.engine.store.get(RUN, "number") is None


async def test_a_stop_waits_until_its_dag_run_is_reopened_and_then_holds(stage_of, bus):
    """Written before, it would be a stop of the time before, and nobody would heed it."""
    stage = await stage_of("main")
    await stage.finish("main:1", Status.FAILED)
    await stage.ended()
    stop_subject, reopening, held = stage.engine.subjects.stop(RUN, DagId("main:1")), asyncio.Event(), []

    async def hold(subject):
        if subject == stop_subject and not held:
            held.append(subject)
            await reopening.wait()

    bus.before_append = hold
    again = await stage_of("main", reopening=Reopening(number=1, by="ada"))
    await again.ask(StopRequested(reason="enough", by="me"))

    reopening.set()
    await settle()

    records = (await stage.bus.read(stop_subject)).records
    [reopened, stop] = [event for record in records for event in unpack_events(record.payload)]
    assert reopened == DagReopened(number=1)
    assert (stop.reason, stop.opening) == ("enough", 1)
    assert (await again.jobs())["main:1"].opening == 1


async def test_a_job_that_says_what_has_been_done_reopens_nothing(stage_of):
    stage = await stage_of("main")
    await stage.finish("main:1", Status.FAILED)
    await stage.ended()
    reopening = Reopening(number=1, by="ada")
    first = await stage_of("main", reopening=reopening)
    finished = DagFinished(dag=DagId("main:1"), status=Status.SUCCEEDED, opening=1)
    await first.bus.append(first.engine.subjects.dag_finished(RUN, DagId("main:1")), pack_events([finished]))
    assert [end.opening for end in await first.ended()] == [0, 1]

    second = await stage_of("main", reopening=reopening)

    assert [end.opening for end in await second.ended()] == [0, 1]
    assert [event.number for event in await second.of(RunRetried)] == [1]


@pytest.mark.parametrize("is_early", [True, False])
async def test_a_stop_that_comes_while_the_retry_is_being_written_is_written_after_it(stage_of, bus, other, is_early):
    """A driver that takes over would read it before the retry, and think that it was over."""
    stage = await stage_of("main")
    await stage.finish("main:1", Status.FAILED)
    await stage.ended()
    after = (await bus.last(stage.engine.subjects.own(RUN))).seq
    stop = StopRequested(reason="enough", by="me")
    kept = []

    async def stop_first(subject):
        if subject == stage.engine.subjects.own(RUN) and bus.pushes is None and not kept:
            bus.pushes = kept
            await other.append(stage.engine.subjects.ask(RUN), pack_events([stop]))
            await settle()

    bus.before_append = stop_first
    again = await stage_of("main", reopening=Reopening(number=1, by="ada", after=after))
    bus.pushes = None

    for push in kept if is_early else reversed(kept):
        push()
    await settle()

    page = await bus.read(stage.engine.subjects.own(RUN))
    logged = [event for record in page.records for event in unpack_events(record.payload)]
    assert [type(event) for event in logged][-2:] == [RunRetried, StopRequested]
    assert logged[-1] == stop
    assert not again.driving.done()


async def test_the_stop_of_a_deadline_that_comes_after_the_end_does_not_reach_the_retry(stage_of, bus):
    stage = await stage_of("main")
    await stage.finish("main:1", Status.FAILED)
    await stage.ended()
    after = (await bus.last(stage.engine.subjects.own(RUN))).seq
    await stage.ask(StopRequested(reason="too long", by=deadline.BY, status=Status.FAILED))

    again = await stage_of("main", reopening=Reopening(number=1, by="ada", after=after))

    page = await bus.read(stage.engine.subjects.own(RUN))
    logged = [event for record in page.records for event in unpack_events(record.payload)]
    assert isinstance(logged[-1], RunRetried)
    assert not again.driving.done()


async def test_the_deadline_of_a_driver_that_has_a_successor_stops_nothing(stage_of, bus, other_engine):
    is_let_through = asyncio.Event()

    async def hold(subject):
        if subject == other_engine.subjects.ask(RUN):
            await is_let_through.wait()

    bus.before_append = hold
    stage = await stage_of("main", deadline=0.0)
    bus.pushes = []  # it has not heard of it yet
    owner = pack_events([OwnerChanged(worker=WorkerId("other"))])
    await other_engine.bus.append(other_engine.subjects.owner(RUN), owner)

    is_let_through.set()
    with pytest.raises(Fenced):
        async with asyncio.timeout(10):
            await stage.driving

    assert await stage.of(StopRequested) == []
