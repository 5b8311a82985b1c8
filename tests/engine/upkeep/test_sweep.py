"""What is over goes, once; what goes on stays, whatever its age."""

import asyncio
import time
from dataclasses import replace

import pytest

from nflow.blobs.files import FileBlobs
from nflow.blobs.terms import Terms
from nflow.bus.memory import MemoryServer
from nflow.core.events import RunFinished, RunStarted, Status
from nflow.core.ids import DagName, RunId, TaskId, WorkerId
from nflow.core.jobs import WorkflowJob
from nflow.core.spec import DagSpec, TaskSpec, WorkflowSpec
from nflow.engine.engine import Engine
from nflow.engine.runs import AT_THE_END, RunEntry
from nflow.engine.upkeep.sweep import DAY, EVERY, Retention, Sweeper, Swept
from nflow.errors import BlobLost
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events, pack_job, pack_spec
from nflow.wire.values import inline
from tests.engine.conftest import StageBus, settle

#: When the clock of the server shows 0.
EPOCH = time.time()

RETENTION = Retention(failed=7 * DAY, history=30 * DAY)


class Site:
    """A server with runs on it."""

    def __init__(self, engine, clock):
        self.engine = engine
        self.clock = clock
        self.subjects = engine.subjects
        self.code: dict[RunId, str] = {}
        self.specs: dict[RunId, str] = {}
        self.jobs: dict[RunId, WorkflowJob] = {}

    @property
    def now(self):
        return EPOCH + self.clock.time()

    async def submit(self, name):
        """A run that is known and waits in its queue; it has an own piece of code and a large parameter."""
        run = RunId(name)
        self.code[run] = await self.engine.blobs.put_code(f"code of {name}".encode())
        task = TaskSpec(id=TaskId("t"), name="t", code=self.code[run])
        dags = {DagName("main"): DagSpec(name=DagName("main"), tasks=(task,))}
        spec = WorkflowSpec(name=name, dags=dags, python="py", engine="0")
        self.specs[run] = await self.engine.blobs.put_code(pack_spec(spec))
        await self.engine.blobs.put(run, b"x" * 5000, "bytes")
        job = WorkflowJob(run=run, workflow="w", spec=self.specs[run], queue="workflow", submitted=self.now)
        self.jobs[run] = job
        await self.engine.bus.enqueue(self.subjects.job_workflow("workflow", run), pack_job(job))
        entry = RunEntry(run=run, workflow="w", state="waiting", queue="workflow", submitted=self.now)
        await self.engine.index.put(entry)
        return run

    async def begin(self, name):
        """A run that is being driven, with something in its store."""
        run = await self.submit(name)
        started = RunStarted(workflow="w", spec=self.specs[run], engine="0")
        await self.engine.bus.append(self.subjects.own(run), pack_events([started]))
        await self.engine.store.set(run, "number", inline(5))
        await self.note(run, state="running", started=self.now)
        return run

    async def end(self, run, status=Status.FAILED, *, dropped=""):
        """It ends, and its job with it."""
        await self.engine.bus.append(self.subjects.own(run), pack_events([RunFinished(status=status)]))
        await self.note(run, state=status.value, ended=self.now, dropped=dropped)
        await self.engine.bus.withdraw(self.subjects.job_workflow("workflow", run))

    async def ended(self, name, status=Status.FAILED):
        run = await self.begin(name)
        await self.end(run, status)
        return run

    async def has_data(self, run):
        return bool(
            await self.engine.store.whole(run) or (await self.engine.bus.read(self.subjects.blobs_of(run))).records
        )

    async def has_code(self, run):
        try:
            return await self.engine.blobs.get_code(self.code[run]) and await self.engine.blobs.get_code(
                self.specs[run]
            )
        except BlobLost:
            return False

    async def has_log(self, run):
        return bool((await self.engine.bus.read(self.subjects.run_events(run))).records)

    async def note(self, run, **changes):
        entry = await self.engine.index.get(run)
        await self.engine.index.put(replace(entry, **changes))


@pytest.fixture
async def server(clock):
    server = MemoryServer(clock, epoch=EPOCH)
    yield server
    await server.close()


@pytest.fixture
def site(engine, clock):
    return Site(engine, clock)


@pytest.fixture
def sweeper(engine, clock):
    return Sweeper(engine, RETENTION, clock)


# --- data ---


@pytest.mark.parametrize("status", [Status.FAILED, Status.STOPPED, Status.SUCCEEDED])
async def test_an_ended_run_has_its_data_until_their_retention_is_over(site, sweeper, clock, status):
    run = await site.ended("r", status)

    await clock.advance(7 * DAY - 60)
    await sweeper.tick()
    assert await site.has_data(run)
    assert await site.has_code(run)

    await clock.advance(EVERY)

    assert await sweeper.tick() == Swept(data=1, code=2)
    assert not await site.has_data(run)
    assert not await site.has_code(run)


async def test_the_index_says_that_the_data_went(site, sweeper, clock):
    run = await site.ended("r")
    await clock.advance(8 * DAY)

    await sweeper.tick()

    entry = await site.engine.index.get(run)
    assert (entry.state, entry.dropped) == ("failed", "after its retention (retention.failed)")


async def test_what_was_dropped_is_not_dropped_again(site, sweeper, clock):
    await site.ended("r")
    await clock.advance(8 * DAY)
    await sweeper.tick()
    await clock.advance(EVERY)

    assert await sweeper.tick() == Swept()


@pytest.mark.parametrize("make", ["submit", "begin"])
async def test_a_run_that_goes_on_for_ten_days_is_not_touched(site, sweeper, clock, make):
    run = await getattr(site, make)("r")
    for _ in range(10):
        await clock.advance(DAY)

        assert await sweeper.tick() == Swept()

    assert await site.has_data(run)
    assert await site.has_code(run)


async def test_a_run_that_ended_a_moment_ago_is_young_though_it_took_forty_days(site, sweeper, clock):
    run = await site.begin("r")
    await clock.advance(40 * DAY)
    await site.end(run)

    await sweeper.tick()

    assert await site.has_data(run)
    assert await site.has_log(run)


async def test_the_log_counts_where_the_index_is_wrong(site, sweeper, clock):
    going, over = await site.begin("going"), await site.begin("over")
    await site.note(going, state="failed", ended=site.now)
    await site.end(over)
    await site.note(over, state="running", ended=None)
    await clock.advance(8 * DAY)

    await sweeper.tick()

    assert await site.has_data(going)
    assert not await site.has_data(over)


async def test_an_unfinished_run_without_a_job_is_left_to_people(site, sweeper, clock):
    run = await site.begin("r")
    await site.engine.bus.withdraw(site.subjects.job_workflow("workflow", run))
    await clock.advance(40 * DAY)

    await sweeper.tick()

    assert await site.has_data(run)
    assert await site.has_code(run)
    assert await site.has_log(run)


async def test_a_finished_run_that_was_given_a_job_again_goes_on(site, sweeper, clock):
    run = await site.ended("r")
    await site.engine.bus.enqueue(site.subjects.job_workflow("urgent", run), pack_job(site.jobs[run]))
    await clock.advance(40 * DAY)

    await sweeper.tick()

    assert await site.has_data(run)
    assert await site.has_code(run)


async def test_what_a_task_stored_after_the_end_of_its_run_goes_too(site, sweeper, clock):
    run = await site.begin("r")
    await site.end(run, Status.SUCCEEDED, dropped=AT_THE_END)
    await clock.advance(DAY + 60)

    await sweeper.tick()

    assert not await site.has_data(run)


async def test_what_came_late_goes_from_a_database_too_and_what_others_have_there_stays(bus, clock):
    elsewhere = MemoryServer(clock)
    database = KvStore(StageBus(elsewhere))
    engine = Engine(bus, WorkerId("w"), database)
    site = Site(engine, clock)
    run = await site.ended("r", Status.SUCCEEDED)
    await site.note(run, dropped=AT_THE_END)
    await database.set(RunId("another"), "number", inline(5))
    await clock.advance(2 * DAY)

    await Sweeper(engine, RETENTION, clock).tick()

    assert await database.runs() == {"another"}
    await elsewhere.close()
    engine.close()


async def test_values_in_a_shared_folder_go_with_their_run_and_those_of_other_servers_stay(bus, clock, tmp_path):
    engine = Engine(bus, WorkerId("me"), KvStore(bus), terms=Terms(folder=str(tmp_path)))
    site = Site(engine, clock)
    run, elsewhere = await site.ended("r"), RunId("elsewhere")
    for each in (run, elsewhere):
        await FileBlobs(tmp_path).put(each, _pieces(b"image"))
    await clock.advance(8 * DAY)

    await Sweeper(engine, RETENTION, clock).tick()

    assert [folder.name for folder in tmp_path.iterdir()] == [elsewhere]
    engine.close()


# --- what never began ---


async def test_what_a_client_uploaded_that_died_before_it_submitted_goes_after_a_day(site, sweeper, clock):
    run = RunId("r")
    await site.engine.blobs.put(run, b"x" * 5000, "bytes")
    await clock.advance(DAY - 60)
    await sweeper.tick()
    assert await site.has_data(run)

    await clock.advance(EVERY)

    assert await sweeper.tick() == Swept(leftovers=1)
    assert not await site.has_data(run)


async def test_a_run_that_is_in_no_index_but_waits_is_not_touched(site, sweeper, clock):
    run = await site.submit("r")
    await site.engine.index.remove(run)
    await clock.advance(3 * DAY)

    await sweeper.tick()

    assert await site.has_data(run)
    assert await site.has_code(run)


# --- histories ---


async def test_an_old_history_goes_with_all_that_belongs_to_it(site, sweeper, clock):
    run = await site.ended("r", Status.SUCCEEDED)
    await clock.advance(30 * DAY - 60)
    await sweeper.tick()
    assert await site.has_log(run)

    await clock.advance(EVERY)

    assert (await sweeper.tick()).histories == 1
    assert not await site.has_log(run)
    assert await site.engine.index.all() == []


async def test_dead_letters_go_with_the_history_of_their_run(site, sweeper, bus, clock):
    run, other = await site.ended("r"), await site.begin("other")
    for each in (run, other):
        await bus.append(site.subjects.dead("task", each, 7), b"letter")
        await bus.append(site.subjects.dead_piece(site.subjects.dead("task", each, 7), 0), b"half")
    await clock.advance(31 * DAY)

    await sweeper.tick()

    left = await bus.heads("nflow.dead.>", 64)
    assert left == {"nflow.dead.task.other.7", "nflow.dead.task.other.7.0"}


async def test_an_unfinished_run_keeps_its_history(site, sweeper, clock):
    run = await site.begin("r")
    await clock.advance(60 * DAY)

    await sweeper.tick()

    assert await site.has_log(run)
    assert [entry.run for entry in await site.engine.index.all()] == [run]


async def test_a_history_whose_entry_is_gone_already_is_found_by_its_log(site, sweeper, clock):
    run = await site.ended("r")
    await site.engine.index.remove(run)
    await clock.advance(31 * DAY)

    await sweeper.tick()

    assert not await site.has_log(run)


async def test_never_is_never(site, engine, clock):
    run = await site.ended("r")
    await clock.advance(1000 * DAY)

    await Sweeper(engine, Retention(failed=float("inf"), history=float("inf")), clock).tick()

    assert await site.has_data(run)


# --- code ---


async def test_code_stays_while_one_run_of_several_names_it(site, sweeper, clock):
    old, going = await site.ended("same"), RunId("same")
    await clock.advance(8 * DAY)
    await site.submit("same")

    await sweeper.tick()

    assert await site.has_code(old)
    assert await site.has_code(going)


async def test_code_that_no_run_names_goes_after_a_day(site, sweeper, clock):
    name = await site.engine.blobs.put_code(b"lost")
    await clock.advance(DAY - 60)
    assert await sweeper.tick() == Swept()

    await clock.advance(EVERY)

    assert await sweeper.tick() == Swept(code=1)
    with pytest.raises(BlobLost):
        await site.engine.blobs.get_code(name)


async def test_code_that_is_submitted_again_while_it_is_swept_stays(site, sweeper, other_engine, bus, clock):
    """Between the look of a sweep and its purge, a client may find that the code is there."""
    name = await site.engine.blobs.put_code(b"popular")
    await clock.advance(2 * DAY)
    chunks = site.subjects.chunks(site.subjects.code(name))

    async def submit_first(subject):
        if subject == chunks:
            await other_engine.blobs.server.renew(site.subjects.code(name), _pieces(b"popular"))

    bus.before_purge = submit_first
    await sweeper.tick()

    assert await other_engine.blobs.get_code(name) == b"popular"


async def test_a_client_stores_code_anew_that_is_about_to_be_old_enough(engine_of, clock):
    server = MemoryServer(clock, epoch=time.time() - DAY)
    engine = engine_of(StageBus(server), "client")
    name = await engine.blobs.put_code(b"popular")
    await clock.advance(DAY)

    await engine.blobs.put_code(b"popular")

    assert await engine.blobs.server.stored_at(engine.subjects.code(name)) > time.time() - 60
    assert await engine.blobs.get_code(name) == b"popular"
    await server.close()


async def test_no_code_goes_while_a_job_cannot_be_read(site, sweeper, clock):
    name = await site.engine.blobs.put_code(b"code of the future")
    await site.engine.bus.enqueue(site.subjects.job_workflow("workflow", RunId("r")), b"\xc1 of a newer version")
    await clock.advance(2 * DAY)

    assert await sweeper.tick() == Swept()
    assert await site.engine.blobs.get_code(name) == b"code of the future"


async def test_what_a_newer_nflow_wrote_is_left_to_that_and_stops_no_sweep(site, sweeper, bus, clock):
    newer, other = await site.ended("newer"), await site.ended("other")
    await bus.append(site.subjects.own(newer), b"\xc1 of a newer version")
    await clock.advance(8 * DAY)

    assert await sweeper.tick() == Swept(data=1, code=2)
    assert await site.has_data(newer)
    assert await site.has_code(newer)
    assert not await site.has_data(other)


# --- one at a time ---


async def test_of_two_workers_at_once_one_sweeps(site, sweeper, other_engine, clock):
    await site.ended("r")
    await clock.advance(8 * DAY)

    swept = await asyncio.gather(sweeper.tick(), Sweeper(other_engine, RETENTION, clock).tick())

    assert [each for each in swept if each is not None] == [Swept(data=1, code=2)]


async def test_workers_sweep_again_every_hour(site, sweeper, clock):
    run = RunId("r")
    await site.engine.blobs.put(run, b"x" * 5000, "bytes")
    sweeper.start()
    await clock.advance(DAY - EVERY)
    await settle()
    assert await site.has_data(run)

    await clock.advance(3 * EVERY)
    await settle()

    assert not await site.has_data(run)
    await sweeper.close()


async def test_after_a_worker_was_killed_in_its_sweep_the_next_one_goes_on(site, sweeper, bus, other_engine, clock):
    runs = [await site.ended(name) for name in "abc"]
    await clock.advance(8 * DAY)
    second = asyncio.Event()

    async def hold(subject):
        if subject == site.subjects.stored(runs[1]):
            second.set()
            await asyncio.Event().wait()

    bus.before_purge = hold
    killed = asyncio.ensure_future(sweeper.tick())
    await second.wait()
    bus.kill()
    killed.cancel()
    assert [await site_has(other_engine, run) for run in runs] == [False, True, True]
    await clock.advance(EVERY)

    swept = await Sweeper(other_engine, RETENTION, clock).tick()

    assert swept.data == 2
    assert [await site_has(other_engine, run) for run in runs] == [False] * 3


async def test_a_worker_that_ends_in_its_sweep_lets_others_begin_at_once(site, sweeper, bus, other_engine, clock):
    run = await site.ended("r")
    await clock.advance(8 * DAY)
    reached = asyncio.Event()

    async def hold(subject):
        reached.set()
        await asyncio.Event().wait()

    bus.before_read = hold
    sweeper.start()
    await reached.wait()
    await sweeper.close()

    swept = await Sweeper(other_engine, RETENTION, clock).tick()

    assert swept.data == 1
    assert not await site_has(other_engine, run)


async def site_has(engine, run):
    return bool(await engine.store.whole(run))


async def _pieces(data):
    yield memoryview(data)
