"""A job that the server has, and will not deliver any more, is stored once more, unless somebody holds it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryServer
from nflow.bus.nats import NatsBus, connect
from nflow.bus.port import LEASE, Job, JobQueue
from nflow.core.events import TaskStarted
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob
from nflow.engine.engine import Engine
from nflow.engine.upkeep.forgotten import EVERY, Reminder
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events, pack_job
from tests.engine.conftest import StageBus, Taken, settle
from tests.servers import Server

RUN, DAG, TASK = RunId("r"), DagId("d:1"), TaskId("t")
JOB = TaskJob(run=RUN, workflow="w", dag=DAG, task=TASK, name="t", attempt=1, queue="q", code="")
PATIENCE = 20.0


def subject_of(engine: Engine) -> str:
    return engine.subjects.job_task("q", "py", RUN, DAG, TASK, 1)


class Forgetful(MemoryServer):
    """A server that forgets what it is told to."""

    def forget(self, job: Job) -> None:
        for queue in self._queues["nflow_jobs"].values():
            queue.forget(job.seq)


@pytest.fixture
async def server(clock: VirtualClock) -> AsyncIterator[Forgetful]:
    server = Forgetful(clock)
    yield server
    await server.close()


@pytest.fixture
def reminder(engine: Engine, clock: VirtualClock) -> Reminder:
    return Reminder(engine, clock=clock)


@pytest.fixture
async def job(engine: Engine, bus: StageBus, taken: Taken) -> Job:
    """A job that was delivered once."""
    await bus.enqueue(subject_of(engine), pack_job(JOB))
    await settle()
    return taken.jobs[0]


async def look(reminder: Reminder, clock: VirtualClock) -> int:
    """A look with all that it takes; how many jobs were stored once more."""
    looking = asyncio.ensure_future(reminder.tick())
    await settle()
    await clock.advance(LEASE)
    await settle()
    return await looking


async def test_a_forgotten_job_is_delivered_again(reminder, clock, server, taken, job):
    job.drop()
    server.forget(job)

    assert await look(reminder, clock) == 1

    await settle()
    again = taken.jobs[-1]
    assert (again.subject, again.payload) == (job.subject, job.payload)
    assert again.seq > job.seq


async def test_it_is_there_once_afterwards(reminder, clock, server, engine, bus, job):
    server.forget(job)

    await look(reminder, clock)

    page = await bus.read(subject_of(engine))
    assert len(page.records) == 1


async def test_jobs_that_wait_or_are_in_hand_are_left_alone(reminder, clock, engine, bus, taken, job):
    job.hold(lambda: None)
    await bus.enqueue("nflow.job.task.elsewhere.py.5.r.d.t.1", b"waits where nobody takes it")

    assert await look(reminder, clock) == 0

    assert len((await bus.read(subject_of(engine))).records) == 1


async def test_what_its_worker_holds_is_not_stored_again(reminder, clock, server, engine, other_engine, bus, job):
    async def still_mine() -> bool:
        return True

    other_engine.holdings.add(job, still_mine=still_mine, stand_down=lambda: None)
    started = TaskStarted(task=TASK, attempt=1, execution=1, worker=WorkerId("other"), host="h")
    await bus.append(engine.subjects.task(RUN, DAG, TASK), pack_events([started]))
    server.forget(job)

    assert await look(reminder, clock) == 0

    assert [record.seq for record in (await bus.read(subject_of(engine))).records] == [job.seq]


async def test_a_job_whose_holder_is_gone_is_stored_again(reminder, clock, server, engine, bus, job):
    started = TaskStarted(task=TASK, attempt=1, execution=1, worker=WorkerId("gone"), host="h")
    await bus.append(engine.subjects.task(RUN, DAG, TASK), pack_events([started]))
    server.forget(job)

    assert await look(reminder, clock) == 1


async def test_a_look_that_was_cut_short_after_its_store_leaves_a_job_that_is_removed_by_the_next_one(
    reminder, clock, server, engine, bus, job
):
    server.forget(job)
    await bus.append(subject_of(engine), job.payload, expect=job.seq)
    await settle()

    await look(reminder, clock)

    assert all(record.seq > job.seq for record in (await bus.read(subject_of(engine))).records)
    assert len((await bus.read(subject_of(engine))).records) == 1


async def test_of_two_workers_one_looks(reminder, clock, server, other_engine, job):
    server.forget(job)
    other = Reminder(other_engine, clock=clock)

    looks = asyncio.gather(reminder.tick(), other.tick())
    await settle()
    await clock.advance(LEASE)
    await settle()

    assert sorted(await looks) == [0, 1]


async def test_a_worker_looks_from_time_to_time(reminder, clock, server, taken, job):
    server.forget(job)
    reminder.start()
    await settle()

    await clock.advance(EVERY)
    await settle()
    await clock.advance(LEASE)
    await settle()

    assert taken.jobs[-1].seq > job.seq
    reminder.close()


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server").start()
    yield server
    server.kill()


@pytest.fixture
async def bus_on(nats_server: Server) -> AsyncIterator[Callable[[], object]]:
    buses: list[NatsBus] = []

    async def make() -> NatsBus:
        buses.append(await connect(nats_server.url, token=nats_server.token))
        return buses[-1]

    yield make
    for bus in buses:
        await bus.close()


async def test_a_server_that_came_back_with_a_queue_ahead_of_its_jobs_is_reminded(nats_server, bus_on, tmp_path):
    bus = await bus_on()
    engine = Engine(bus, WorkerId("w"), KvStore(bus))
    address = engine.subjects.queue("task", "q", "py")
    jobs: asyncio.Queue[Job] = asyncio.Queue()
    intake = await bus.take(JobQueue(address.name, address.subject), jobs.put_nowait)
    await bus.enqueue(subject_of(engine), pack_job(JOB))
    data, before = nats_server.directory / "data", tmp_path / "before"
    nats_server.stop()
    shutil.copytree(data, before)
    nats_server.start()
    intake.want(1)
    async with asyncio.timeout(PATIENCE):
        job = await jobs.get()
    await job.ack()
    await bus.flush()
    nats_server.stop()
    for file in before.rglob("o.dat"):  # how far the queue is, in a file beside that of the jobs
        shutil.copy(data / file.relative_to(before), file)
    shutil.rmtree(data)
    shutil.move(before, data)
    nats_server.start()
    [state] = await bus.queues()
    assert (state.waiting, state.in_hand) == (0, 0)
    assert await bus.last(subject_of(engine)) is not None

    assert await Reminder(engine, clock=Hurried()).tick() == 1

    intake.want(1)
    async with asyncio.timeout(PATIENCE):
        assert (await jobs.get()).payload == job.payload
    engine.close()


class Hurried:
    """Time that is not waited for."""

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
