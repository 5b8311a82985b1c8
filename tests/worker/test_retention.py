"""A run that failed, or was stopped, has its data until nobody will begin it again."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nflow.bus.nats import connect
from nflow.core.events import RunFinished, Status, StopRequested
from nflow.core.ids import WorkerId
from nflow.engine.engine import Engine
from nflow.engine.upkeep.sweep import DAY, Retention, Sweeper
from nflow.models.workflow import load
from nflow.runs import Runs
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events
from nflow.wire.tree import pack_tree
from nflow.wire.values import inline
from nflow.worker.duties import Duties
from nflow.worker.worker import Worker
from tests.servers import Server
from tests.worker.crew import Scene

PATIENCE = 20.0

WORKFLOW = """
from nflow.models import Dag
from nflow.tasks import PythonTask


def fill(data, store, signal, context):
    store.set("image", b"x" * 100_000)
    data["image"] = b"y" * 100_000


def fail(data, store, signal, context):
    raise ValueError("no beam")


main = Dag("main")
main.define({PythonTask("fill", fill): PythonTask("fail", fail)})
"""


async def has_data(site, run) -> tuple[bool, bool]:
    """Whether its store is there, and what its tasks handed on."""
    blobs = await site.client.bus.read(site.client.subjects.blobs_of(run))
    return bool(await site.client.store.whole(run)), bool(blobs.records)


def storing(site, then: Callable[[Scene], Awaitable[None]] | None = None):
    """A task that fills the store, hands on something large, and goes on as it is told."""

    async def script(scene: Scene) -> None:
        await scene.call("store_set", ["data", [["number", pack_tree(inline(5))]]])
        await site.client.blobs.put(scene.job.run, b"x" * 5000, "bytes")
        if then is not None:
            await then(scene)

    return script


async def fail(scene: Scene) -> None:
    raise ValueError("no beam")


async def until_stopped(scene: Scene) -> None:
    await scene.slot.stopped.wait()


async def swept_after(site, days: float):
    await site.clock.advance(days * DAY)
    await Sweeper(site.client, Retention(failed=7 * DAY), site.clock).tick()


async def test_a_failed_run_has_its_data_for_seven_days(site):
    site.scripts["a"] = storing(site, fail)
    await site.crew()
    run = await site.submit(main="a")
    [end] = await site.has(run, RunFinished)
    assert end.status is Status.FAILED

    await swept_after(site, 6.9)
    assert await has_data(site, run) == (True, True)

    await swept_after(site, 0.2)

    assert await has_data(site, run) == (False, False)


async def test_a_stopped_run_has_its_data_for_seven_days(site):
    site.scripts["a"] = storing(site, until_stopped)
    crew = await site.crew()
    run = await site.submit(main="a>b")
    await site.until(lambda: "a" in crew.played)
    stop = StopRequested(reason="enough", by="a person")
    await site.client.bus.append(site.client.subjects.ask(run), pack_events([stop]))
    [end] = await site.has(run, RunFinished)
    assert end.status is Status.STOPPED

    await swept_after(site, 6.9)
    assert await has_data(site, run) == (True, True)

    await swept_after(site, 0.2)

    assert await has_data(site, run) == (False, False)


async def test_a_run_that_succeeded_has_no_data(site):
    site.scripts["a"] = storing(site)
    await site.crew()
    run = await site.submit(main="a")

    await site.has(run, RunFinished)
    await site.clock.advance(1.0)

    assert await has_data(site, run) == (False, False)
    assert (await site.client.index.get(run)).dropped == "when it ended"


@pytest.fixture
def nats_server(tmp_path):
    server = Server(tmp_path / "server").start()
    yield server
    server.kill()


@pytest.fixture
async def engine_at(nats_server):
    """Makes the engine of one more process."""
    engines = []

    async def make(name):
        bus = await connect(nats_server.url, token=nats_server.token, name=name)
        engines.append(Engine(bus, WorkerId(name), KvStore(bus)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
        await engine.bus.close()


async def test_a_worker_sweeps_when_it_starts(engine_at, tmp_path):
    (tmp_path / "failing.py").write_text(WORKFLOW)
    engine = await engine_at("client")
    client = Runs(engine)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    duties = Duties(slots=1, environment=environment)
    worker = Worker(await engine_at("w1"), duties)
    await worker.start()
    run = await client.submit(load(tmp_path / "failing.py"))
    async with asyncio.timeout(PATIENCE):
        assert (await client.wait(run)).status is Status.FAILED
        await worker.drain()
    await worker.close()
    assert await engine.store.get(run, "image") is not None
    gone = asyncio.Event()
    watch = engine.bus.watch(engine.subjects.kv("runs", run), lambda _: gone.set())
    await engine.bus.flush()

    sweeping = Worker(await engine_at("w2"), Duties(queues=("workflow",), retention=Retention(failed=0.0)))
    await sweeping.start()
    async with asyncio.timeout(PATIENCE):
        await gone.wait()

    assert await engine.store.whole(run) == {}
    assert (await engine.bus.read(engine.subjects.blobs_of(run))).records == []
    assert "retention" in (await client.find(run)).dropped
    watch.close()
    await sweeping.close()
