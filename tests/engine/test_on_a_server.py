"""What depends on the broker itself: races between connections, fences, restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from nflow.bus.nats import NatsBus, connect
from nflow.bus.port import Guard
from nflow.core.events import Provenance, TaskSkipped, TaskStarted, TaskSucceeded
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob
from nflow.engine.claims import Claimer
from nflow.engine.engine import Engine
from nflow.engine.log import Follower, OwnLog
from nflow.errors import Fenced
from nflow.store.kv import KvStore
from nflow.wire.messages import pack_events, pack_job, unpack_events
from tests.servers import Server

PATIENCE = 20.0
PROVENANCE = Provenance(worker=WorkerId("w"), host="h", pid=0, start=0.0, end=0.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("engine")).start()
    yield server
    server.kill()


@pytest.fixture
async def engine_of(server: Server) -> AsyncIterator[Callable[..., Engine]]:
    engines: list[tuple[Engine, NatsBus]] = []

    async def make(worker: str) -> Engine:
        bus = await connect(server.url, token=server.token, name=worker)
        engines.append((Engine(bus, WorkerId(worker), KvStore(bus)), bus))
        return engines[-1][0]

    yield make
    for engine, bus in engines:
        engine.close()
        await bus.close()


class Collected:
    """Sequences as they are delivered, and an event for when there are enough."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self._news = asyncio.Event()

    def __call__(self, record) -> None:
        self.seqs.append(record.seq)
        self._news.set()

    async def have(self, seqs: list[int]) -> None:
        async with asyncio.timeout(PATIENCE):
            while sorted(self.seqs) != seqs:
                self._news.clear()
                await self._news.wait()


async def test_a_follower_goes_on_after_the_server_was_restarted(server, engine_of):
    reading, writing = await engine_of("reading"), await engine_of("writing")
    seqs = [await writing.bus.append("nflow.event.restart.d.a", b"1")]
    collected = Collected()
    follower = Follower(reading.bus, "nflow.event.restart.>", collected)
    await follower.start()
    seqs.append(await writing.bus.append("nflow.event.restart.d.a", b"2"))
    await collected.have(seqs)

    server.restart()
    seqs += [await writing.bus.append(f"nflow.event.restart.d.{number}", b"3") for number in range(50)]

    await collected.have(seqs)
    assert await follower.check() == 0
    follower.close()


async def test_of_many_who_claim_at_once_one_gets_it(engine_of):
    task = TaskJob(
        run=RunId("race"), workflow="w", dag=DagId("d:1"), task=TaskId("t"), name="t", attempt=1, queue="q", code="c"
    )
    engines = [await engine_of(f"w{number}") for number in range(3)]
    holders = [Held(task, engine) for engine in engines]

    claims = await asyncio.gather(*(holder.claim() for holder in holders))

    [claim] = [each for each in claims if each is not None]
    outcome = TaskSucceeded(task=task.task, attempt=1, execution=1, provenance=PROVENANCE)
    assert await claim.settle(pack_events([outcome]))
    page = await engines[0].bus.read("nflow.event.race.>")
    events = [event for record in page.records for event in unpack_events(record.payload)]
    assert [type(event) for event in events] == [TaskStarted, TaskSucceeded]


class Held:
    """A job in hand, of which there may be several: what the server made of an outage."""

    def __init__(self, task: TaskJob, engine: Engine) -> None:
        self.subject = "nflow.job.task.q.py.5.race.d=3A1.t.1"
        self.payload = pack_job(task)
        self.deliveries = 2
        self.seq = 1
        self.is_leased = True
        self._task = task
        self._engine = engine

    async def claim(self):
        async def yes() -> bool:
            return True

        self._engine.holdings.add(self, still_mine=yes, stand_down=lambda: None)
        return await Claimer(self._engine, "h").claim(self, self._task)

    def hold(self, on_lost) -> None:
        pass

    def resume(self) -> None:
        pass

    def drop(self) -> None:
        pass

    async def ack(self) -> None:
        pass

    async def hand_back(self, delay: float = 0.0) -> None:
        pass


async def test_an_owner_is_fenced_by_its_successor(engine_of):
    first, second = await engine_of("first"), await engine_of("second")
    owner, own = "nflow.event.fence._._owner", "nflow.event.fence._._log"
    failures: list[Exception] = []
    log = OwnLog(first.bus, own, Guard(owner, await first.bus.append(owner, b"1", expect=0)), failures.append)
    log.append([TaskSkipped(task=TaskId("a"))])
    await log.written()

    await second.bus.append(owner, b"2")
    log.append([TaskSkipped(task=TaskId("b"))])

    with pytest.raises(Fenced):
        await log.written()
    assert [type(error) for error in failures] == [Fenced]
    assert len((await second.bus.read(own)).records) == 1


async def test_large_data_come_back_as_they_were(engine_of):
    engine = await engine_of("me")
    data = bytes(range(256)) * 40_000

    ref = await engine.blobs.put(RunId("large"), data, "bytes")

    assert await engine.blobs.get(ref) == data


async def test_an_outcome_is_recorded_although_the_connection_was_lost_in_that_very_moment(engine_of):
    """Once, it was sent again and again to a connection that nobody had the time to find lost."""
    engine = await engine_of("me")
    subject = "nflow.event.lost.d.t"

    await engine.bus._connection.client.close()
    async with asyncio.timeout(PATIENCE):
        seq = await engine.bus.append(subject, b"outcome", expect=0)

    assert (await engine.bus.last(subject)).seq == seq
