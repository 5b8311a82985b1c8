"""A whole worker: a real server, real slots, real workflows."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nflow.bus.nats import connect
from nflow.core.events import RunFinished, Status, TaskSucceeded
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.models.workflow import load
from nflow.runs import Runs
from nflow.store.kv import KvStore
from nflow.wire.messages import unpack_events
from nflow.worker.duties import Duties
from nflow.worker.heartbeat import workers
from nflow.worker.worker import Worker
from tests.servers import Server

PATIENCE = 20.0

WORKFLOW = """
from nflow.models import Dag
from nflow.tasks import PythonTask


def count(data, store, signal, context):
    data["numbers"] = list(range(10_000))
    print("counting")


def start(data, store, signal, context):
    names = [signal.start_dag("add", data=data) for _ in range(3)]
    signal.join_dags(names)


def add(data, store, signal, context):
    store.push("sums", sum(data["numbers"]))


def check(data, store, signal, context):
    assert store.get("sums") == [sum(range(10_000))] * 3


first, second, last = PythonTask("count", count), PythonTask("start", start), PythonTask("check", check)
main = Dag("main")
main.define({first: second, second: last})
adding = Dag("add", autostart=False)
adding.define({PythonTask("add", add): None})
"""


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("worker")).start()
    yield server
    server.kill()


@pytest.fixture
async def connected(nats_server: Server):
    """Makes the engine of one more process."""

    @asynccontextmanager
    async def make(name: str) -> AsyncIterator[Engine]:
        bus = await connect(nats_server.url, token=nats_server.token, name=name)
        engine = Engine(bus, WorkerId(name), KvStore(bus))
        try:
            yield engine
        finally:
            engine.close()
            await bus.close()

    return make


@pytest.fixture
def duties():
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return Duties(slots=2, environment=environment)


@pytest.fixture
def workflow(tmp_path):
    (tmp_path / "adding.py").write_text(WORKFLOW)
    return load(tmp_path / "adding.py")


def children() -> set[str]:
    """The processes that this one has started."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def finished(client, run) -> RunFinished:
    async with asyncio.timeout(PATIENCE):
        return await client.wait(run)


async def life_of_a_worker(connected, client, duties, workflow) -> None:
    async with connected("w1") as engine:
        worker = Worker(engine, duties)
        await worker.start()

        for _ in range(2):
            assert (await finished(client, await client.submit(workflow))).status is Status.SUCCEEDED

        assert [entry.worker for entry in await workers(client.engine)] == ["w1"]
        await worker.leave()
        assert worker.tasks == worker.drives == len(engine.holdings) == 0
        await worker.close()


async def test_a_worker_runs_workflows_and_leaves_nothing_behind(connected, duties, workflow):
    async with connected("client") as engine:
        client = Runs(engine)
        await life_of_a_worker(connected, client, duties, workflow)
        files, tasks = open_files(), asyncio.all_tasks()

        await life_of_a_worker(connected, client, duties, workflow)

        assert await workers(engine) == []
        assert open_files() <= files
        assert asyncio.all_tasks() <= tasks


async def test_runs_go_on_on_another_worker_when_one_leaves(connected, duties, workflow):
    async with connected("client") as engine, connected("w1") as first, connected("w2") as second:
        client = Runs(engine)
        leaving, staying = Worker(first, duties), Worker(second, duties)
        await leaving.start()
        runs = [await client.submit(workflow) for _ in range(10)]
        await staying.start()

        async with asyncio.timeout(PATIENCE):
            await leaving.drain()
            await leaving.close()
        ends = await asyncio.gather(*(finished(client, run) for run in runs))

        assert {end.status for end in ends} == {Status.SUCCEEDED}
        for run in runs:
            page = await engine.bus.read(engine.subjects.run_events(run))
            events = [event for record in page.records for event in unpack_events(record.payload)]
            assert sum(isinstance(event, TaskSucceeded) for event in events) == 6
        await staying.leave()
        await staying.close()


async def test_a_worker_for_drivers_starts_no_slots(connected, duties):
    async with connected("w1") as engine:
        before = children()
        worker = Worker(engine, Duties(queues=("workflow", "dag"), environment=duties.environment))
        await worker.start()

        assert children() == before
        await worker.close()


async def test_a_worker_that_is_closed_ends_its_slots(connected, duties):
    async with connected("w1") as engine:
        before = children()
        worker = Worker(engine, duties)
        await worker.start()
        assert len(children()) == len(before) + 2

        await worker.close()

        assert children() == before
