"""One dag run and its driver: what it does when others are late, gone, or faster."""

import asyncio
from itertools import pairwise

import pytest

from nflow.core.dataset import BLOB, Dataset, Ref
from nflow.core.events import (
    DagFinished,
    DagReopened,
    OwnerChanged,
    Provenance,
    RemoteError,
    Status,
    StopRequested,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, DagName, RunId, TaskId
from nflow.core.jobs import DagJob, TaskJob
from nflow.core.spec import DagSpec, Edge, TaskSpec, WorkflowSpec
from nflow.engine.drivers.dag_driver import DagDriver
from nflow.engine.holdings import SETTLING
from nflow.errors import BlobLost, Fenced, StorageFull
from nflow.wire.messages import pack_events, pack_job, pack_spec, unpack_events, unpack_job
from tests.engine.conftest import Taken, settle

RUN, DAG = RunId("r"), DagId("main:1")
NOBODY = Provenance(worker="w", host="h", pid=0, start=0.0, end=0.0)


class Stage:
    """A dag run in the hands of a driver; the test plays the workers and the workflow."""

    def __init__(self, engine, job, message):
        self.engine = engine
        self.job = job
        self.driver = DagDriver(engine, job, message)
        self.driving = asyncio.ensure_future(self.driver.drive())

    @property
    def bus(self):
        return self.engine.bus

    def subject(self, task):
        return self.engine.subjects.task(RUN, DAG, TaskId(task))

    async def jobs(self):
        """The task jobs that wait."""
        await settle()
        return {
            job.task: job
            for record in (await self.bus.read("nflow.job.task.>", limit=10_000)).records
            if isinstance(job := unpack_job(record.payload), TaskJob)
        }

    async def tell(self, event, *, expect=None):
        seq = await self.bus.append(self.subject(event.task), pack_events([event]), expect=expect)
        await settle()
        return seq

    async def start(self, task, execution=1):
        return await self.tell(TaskStarted(task=task, attempt=1, execution=execution, worker="w", host="h"))

    async def succeed(self, task, execution=1, output=None):
        done = TaskSucceeded(
            task=task, attempt=1, execution=execution, provenance=NOBODY, output=output or Dataset(history=(task,))
        )
        return await self.tell(done)

    async def fail(self, task):
        error = RemoteError(type="ValueError", message="no")
        return await self.tell(TaskFailed(task=task, attempt=1, execution=1, error=error, provenance=NOBODY))

    async def stop(self):
        stop = StopRequested(reason="enough", by="me")
        await self.bus.append(self.engine.subjects.stop(RUN, DAG), pack_events([stop]))
        await settle()

    async def events(self, subject=None):
        page = await self.bus.read(subject or self.engine.subjects.log(RUN, DAG), limit=100_000)
        return [event for record in page.records for event in unpack_events(record.payload)]

    async def ended(self):
        """What the workflow was told, once the driver is done."""
        async with asyncio.timeout(10):
            await self.driving
        return await self.events(self.engine.subjects.log(RUN))


async def no_task_waits(*_):
    return None


@pytest.fixture
async def stage_of(engine):
    """Begins to drive a dag that is written as `a>b c`, on any engine, as often as there are drivers."""
    stages = []

    async def begin(schema, on=None, size=0, *, redelivered=False):
        on = on or engine
        tasks, edges = {}, []
        for path in [*schema.split(), *(f"t{number}" for number in range(size))]:
            names = path.split(">")
            tasks |= {name: TaskSpec(id=TaskId(name), name=name, code="c") for name in names}
            edges += [Edge(parent=TaskId(a), child=TaskId(b)) for a, b in pairwise(names)]
        dag = DagSpec(name=DagName("main"), tasks=tuple(tasks.values()), edges=tuple(edges))
        spec = WorkflowSpec(name="w", dags={dag.name: dag}, python="py", engine="0")
        message = DagJob(run=RUN, workflow="w", spec=await on.blobs.put_code(pack_spec(spec)), dag=DAG, queue="dag")
        subject = on.subjects.job_dag("dag", RUN, DAG)
        if not stages:
            await on.bus.enqueue(subject, pack_job(message))
            job = (await Taken().open(on.bus, "nflow.job.dag.>")).jobs[0]
        else:
            job = stages[0].job
        job.deliveries += redelivered
        stages.append(Stage(on, job, message))
        await settle()
        return stages[-1]

    yield begin
    for stage in stages:
        stage.driving.cancel()
    await asyncio.gather(*(stage.driving for stage in stages), return_exceptions=True)


async def test_a_dag_goes_from_its_roots_to_its_end(stage_of):
    stage = await stage_of("a>c b>c")
    assert set(await stage.jobs()) == {"a", "b"}

    await stage.succeed("a")
    await stage.succeed("b")
    given = (await stage.jobs())["c"].input
    await stage.succeed("c")

    [finished] = await stage.ended()
    assert finished == DagFinished(dag=DAG, status=Status.SUCCEEDED, succeeded=3)
    assert [dataset.history for dataset in given.datasets] == [("a",), ("b",)]
    assert len(stage.engine.holdings) == 0
    assert (await stage.bus.read("nflow.job.dag.>")).records == []


async def test_a_large_input_goes_as_a_blob(stage_of):
    stage = await stage_of("a>b")
    refs = {
        f"key{number}": Ref(scheme=BLOB, where="x" * 60, size_bytes=1, digest="", type="str") for number in range(99)
    }

    await stage.succeed("a", output=Dataset(values=refs))

    job = (await stage.jobs())["b"]
    assert job.input is None
    assert (await stage.engine.unpack(None, job.input_blob)).datasets[0].values == refs


async def test_a_very_wide_join_fits_into_its_job(stage_of):
    stage = await stage_of(" ".join(f"a{number}>end" for number in range(3000)))

    for number in range(3000):
        task = f"a{number}"
        done = TaskSucceeded(
            task=task,
            attempt=1,
            execution=1,
            provenance=NOBODY,
            output=Dataset(history=("a long name of a task",) * 20),
        )
        await stage.bus.append(stage.subject(task), pack_events([done]))

    assert (await stage.jobs())["end"].input_blob is not None


async def test_a_wide_dag_is_dispatched_whole(stage_of):
    stage = await stage_of("a", size=1500)

    assert len(await stage.jobs()) == 1501


async def test_a_stop_cancels_what_nobody_has_claimed_and_takes_its_job_away(stage_of):
    stage = await stage_of("a>b c")
    await stage.start("a")

    await stage.stop()

    assert set(await stage.jobs()) == {"a"}
    await stage.succeed("a")
    [finished] = await stage.ended()
    assert (finished.status, finished.succeeded, finished.cancelled) == (Status.STOPPED, 1, 2)


async def test_a_claim_in_the_moment_of_the_stop_is_waited_for(stage_of, bus, other):
    stage = await stage_of("a")

    async def claim_first(subject):
        if subject == stage.subject("a"):
            bus.before_append = no_task_waits
            claim = TaskStarted(task="a", attempt=1, execution=1, worker="w", host="h")
            await other.append(subject, pack_events([claim]), expect=0)

    bus.before_append = claim_first
    await stage.stop()
    assert not stage.driving.done()
    await stage.succeed("a")

    [finished] = await stage.ended()
    assert (finished.status, finished.succeeded) == (Status.STOPPED, 1)


async def test_a_task_that_was_given_back_in_a_stopping_dag_is_cancelled(stage_of):
    stage = await stage_of("a")
    await stage.start("a")
    await stage.stop()

    await stage.tell(TaskReleased(task="a", attempt=1, execution=1))

    [finished] = await stage.ended()
    assert finished.cancelled == 1
    assert isinstance((await stage.events(stage.subject("a")))[-1], TaskCancelled)


async def test_a_task_that_was_given_back_twice_is_cancelled_though_the_first_time_was_read_late(stage_of, bus):
    """Once, the cancellation was checked against the older event, and the task ran on after the stop."""
    stage = await stage_of("a b")
    bus.pushes = []
    await stage.start("a")
    await stage.tell(TaskReleased(task="a", attempt=1, execution=1))
    await stage.start("a", execution=2)
    await stage.tell(TaskReleased(task="a", attempt=1, execution=2))
    for push in reversed(bus.pushes):
        push()
    bus.pushes = None
    await settle()

    await stage.stop()

    [finished] = await stage.ended()
    assert finished.cancelled == 2


async def test_the_workflow_hears_why_before_it_hears_that_it_is_over(stage_of, bus):
    stage = await stage_of("a>b")
    ask, reached, let = stage.engine.subjects.ask(RUN), asyncio.Event(), asyncio.Event()

    async def hold(subject):
        if subject == ask:
            reached.set()
            await let.wait()

    bus.before_append = hold
    await stage.fail("a")
    await reached.wait()
    await settle()
    assert await stage.events(stage.engine.subjects.log(RUN)) == []
    let.set()

    stop, finished = await stage.ended()
    assert isinstance(stop, StopRequested)
    assert finished.status is Status.FAILED


async def test_a_task_whose_end_is_read_together_with_the_stop_is_not_cancelled_after_it(stage_of, server, other):
    """Once, its cancellation was checked against an end that nobody had read when it was decided."""
    stage = await stage_of("a b")
    await stage.start("a")
    await stage.start("b")
    await stage.tell(TaskReleased(task=TaskId("b"), attempt=1, execution=1))
    server.loses = lambda record: True
    await stage.fail("a")
    await stage.start("b", execution=2)
    error = RemoteError(type="ValueError", message="no")
    await stage.tell(TaskFailed(task="b", attempt=1, execution=2, error=error, provenance=NOBODY))

    await stage.engine.reconciler.tick()
    await stage.ended()

    assert [type(event) for event in await stage.events(stage.subject("b"))][-1] is TaskFailed


async def test_the_end_is_recorded_after_the_last_look_at_a_claim(stage_of, bus, other):
    """Once, it was not waited for: the job of a task could outlive its dag run, and be claimed."""
    stage = await stage_of("a")
    held = asyncio.Event()

    async def hold(subject):
        if subject == stage.subject("a"):
            await held.wait()

    bus.before_append = hold
    await stage.stop()
    earlier = TaskCancelled(task="a", reason="an earlier driver has said so")
    await other.append(stage.engine.subjects.own(RUN, DAG), pack_events([earlier]))
    await settle()
    ended_early = stage.driving.done()

    held.set()
    await stage.ended()

    assert not ended_early
    assert await stage.jobs() == {}


async def test_a_driver_that_takes_over_does_what_is_left(stage_of, other_engine, bus, clock):
    first = await stage_of("a>b c")
    await first.succeed("a")
    bus.kill()
    await clock.advance(SETTLING)

    second = await stage_of("a>b c", on=other_engine)
    for task in ("b", "c"):
        await second.succeed(task)

    [finished] = await second.ended()
    assert finished.succeeded == 3
    owners = [event.worker for event in await second.events() if isinstance(event, OwnerChanged)]
    assert owners == ["me", "other"]


async def test_a_driver_that_has_a_successor_stands_down_and_leaves_the_job_alone(stage_of, other, caplog):
    stage = await stage_of("a>b")
    successor = pack_events([OwnerChanged(worker="successor")])

    await other.append(stage.engine.subjects.owner(RUN, DAG), successor)
    await settle()

    with pytest.raises(Fenced):
        await stage.driving
    assert len(stage.engine.holdings) == 0
    assert len((await stage.bus.read("nflow.job.dag.>")).records) == 1


async def test_a_driver_that_hears_of_its_successor_by_a_refused_write_stands_down_too(stage_of, server, other):
    stage = await stage_of("a>b")
    server.loses = lambda record: record.subject.endswith("_owner")
    await other.append(stage.engine.subjects.owner(RUN, DAG), pack_events([OwnerChanged(worker="successor")]))

    await stage.fail("a")  # b is to be recorded as cancelled

    with pytest.raises(Fenced):
        await stage.driving
    assert len(stage.engine.holdings) == 0


async def test_a_driver_that_was_away_dispatches_nothing_before_it_knows_that_it_has_no_successor(
    stage_of, server, other
):
    """Once, it started what its successor had cancelled: a job is stored whoever sends it."""
    stage = await stage_of("a>b")
    server.loses = lambda record: record.subject == stage.engine.subjects.owner(RUN, DAG)
    await other.append(stage.engine.subjects.owner(RUN, DAG), pack_events([OwnerChanged(worker="successor")]))
    stage.job._lost = True  # its lease ran out, which it has not heard yet

    await stage.succeed("a")

    with pytest.raises(Fenced):
        await stage.driving
    assert set(await stage.jobs()) == {"a"}


async def test_a_driver_that_was_away_goes_on_where_it_has_no_successor(stage_of):
    stage = await stage_of("a>b")
    stage.job._lost = True

    await stage.succeed("a")

    assert "b" in await stage.jobs()


async def test_a_driver_that_cannot_write_fails_instead_of_waiting(stage_of, server):
    stage = await stage_of("a>b")
    server.is_full = lambda subject: subject.endswith("_log")

    await stage.fail("a")

    with pytest.raises(StorageFull):
        await stage.driving


async def test_a_driver_that_cannot_tell_the_end_fails_instead_of_waiting(stage_of, server):
    stage = await stage_of("a")
    server.is_full = lambda subject: subject == stage.engine.subjects.dag_finished(RUN, DAG)

    await stage.succeed("a")

    with pytest.raises(StorageFull):
        await stage.driving


async def test_an_event_that_has_no_place_in_the_log_fails_the_driver(stage_of):
    stage = await stage_of("a")

    await stage.start("unheard-of")

    with pytest.raises(Exception, match="no place in the log"):
        await stage.driving


async def test_a_dag_whose_spec_is_gone_fails_its_driver(stage_of, bus):
    stage = await stage_of("a")
    stage.driving.cancel()
    await bus.purge("nflow.blob.>")

    driver = DagDriver(stage.engine, stage.job, DagJob(run=RUN, workflow="w", spec="gone", dag=DAG, queue="dag"))
    stage.engine.holdings.discard(stage.job)

    with pytest.raises(BlobLost):
        await driver.drive()


async def test_an_end_that_an_earlier_driver_has_told_is_told_once(stage_of, other):
    stage = await stage_of("a")
    told = DagFinished(dag=DAG, status=Status.SUCCEEDED, succeeded=1)
    await other.append(stage.engine.subjects.dag_finished(RUN, DAG), pack_events([told]))

    await stage.succeed("a")

    assert await stage.ended() == [told]


async def test_a_driver_that_is_cancelled_leaves_nothing_running(stage_of, bus):
    stage = await stage_of("a>b")
    others = asyncio.all_tasks() - {stage.driving, asyncio.current_task()}

    stage.driving.cancel()
    await settle()

    assert bus._watching == []
    assert not stage.engine.reconciler._checks
    assert asyncio.all_tasks() - {asyncio.current_task()} <= others


async def test_a_job_that_comes_again_after_the_end_of_its_dag_run_is_done_without_a_word(stage_of, other_engine):
    """The dag run may have been reopened since: whoever became its owner would stop the one that drives it."""
    finished = DagFinished(dag=DAG, status=Status.FAILED)
    await other_engine.bus.append(other_engine.subjects.dag_finished(RUN, DAG), pack_events([finished]))
    stage = await stage_of("", redelivered=True)

    assert await stage.ended() == [finished]

    assert await stage.events() == []
    assert (await stage.bus.read("nflow.job.>")).records == []


async def test_a_driver_stands_down_when_its_dag_run_is_reopened(stage_of):
    """It was given up, and has another job; what this driver has folded is not what it would have to know."""
    stage = await stage_of("a")

    await stage.bus.append(stage.engine.subjects.stop(RUN, DAG), pack_events([DagReopened(number=1)]))

    with pytest.raises(Fenced):
        await stage.driving


async def test_an_owner_of_long_ago_does_not_stop_the_run(stage_of, other_engine, bus):
    """The run may have been reopened since."""
    stage = await stage_of("a")
    bus.before_append = held = Held(stage.engine.subjects.ask(RUN))
    await stage.fail("a")
    successor = OwnerChanged(worker="other")
    await other_engine.bus.append(other_engine.subjects.owner(RUN, DAG), pack_events([successor]))

    held.let_go.set()

    with pytest.raises(Fenced):
        await stage.driving
    assert await stage.events(stage.engine.subjects.ask(RUN)) == []


class Held:
    """Holds up the writes to one subject."""

    def __init__(self, subject):
        self.subject = subject
        self.let_go = asyncio.Event()

    async def __call__(self, subject):
        if subject == self.subject:
            await self.let_go.wait()
