"""What a person is told of queues that lack workers; and a lookout on a bus in memory."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.cli.queues.lookout import Lookout
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.engine.engine import Engine
from nflow.engine.serving import Lack, Needs
from nflow.files.needs import lack_of_some, served_now, waits_for
from nflow.store.kv import KvStore
from nflow.wire.frames import pack_plain

RUN = RunId("r")
NEEDS = Needs(queues=("workflow", "task"), tasks=frozenset({"task"}), python="py311")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    server = MemoryServer(VirtualClock())
    bus = MemoryBus(server)
    engine = Engine(bus, WorkerId("client"), KvStore(bus))
    yield engine
    engine.close()
    await server.close()


class Notes:
    """What was told, and the next of it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, text: str) -> None:
        self.told.append(text)
        self._news.set()

    async def next(self) -> str:
        async with asyncio.timeout(10):
            await self._news.wait()
        self._news.clear()
        return self.told[-1]


async def beat(engine: Engine, name: str, python: str, *queues: str) -> None:
    """A worker tells of itself."""
    fields = {"worker": name, "host": "h", "pid": 1, "python": python, "version": "1", "queues": queues, "slots": 1}
    fields |= {"tasks": 0, "drives": 0, "repaired": 0, "started": 0.0, "seen": time.time()}
    await engine.bus.append(engine.subjects.kv("workers", name), pack_plain(fields))


async def put_task(engine: Engine, python: str) -> None:
    subject = engine.subjects.job_task("task", python, RUN, DagId("d:1"), TaskId("t"), 1)
    await engine.bus.enqueue(subject, b"job")


async def test_a_job_for_another_python_than_all_workers_have_is_told(engine):
    notes = Notes()
    await beat(engine, "w", "py311", "workflow", "task")
    await put_task(engine, "py311")
    async with Lookout(engine, RUN, NEEDS, notes):
        await beat(engine, "w", "py312", "workflow", "task")

        told = await notes.next()

    assert told == (
        "Queue 'task': a job needs Python 3.11, the workers have 3.12. Start one with Python 3.11: nflow worker -q task"
    )


async def test_a_queue_in_which_nothing_waits_is_not_told(engine):
    notes = Notes()
    await beat(engine, "w", "py311", "workflow", "task")
    async with Lookout(engine, RUN, NEEDS, notes) as lookout:
        await beat(engine, "w", "py311", "task")
        await put_task(engine, "py311")
        await beat(engine, "w", "py311", "workflow")

        told = await notes.next()

    assert told.startswith("Queue 'task': no worker serves it")
    assert lookout._told.keys() == {"task"}


async def test_the_same_is_told_once_however_much_happens(engine):
    notes = Notes()
    await beat(engine, "w", "py311", "workflow", "task")
    await put_task(engine, "py311")
    async with Lookout(engine, RUN, NEEDS, notes) as lookout:
        await beat(engine, "w", "py311", "workflow")
        await notes.next()

        for _ in range(3):
            lookout.on_event()
            await engine.reconciler.tick()
        await beat(engine, "w", "py311", "workflow", "task")

        assert await notes.next() == "Queue 'task' is served now."
    assert len(notes.told) == 2


def test_several_queues_are_told_in_one_line_with_one_command():
    [told] = lack_of_some([Lack(queue="gpu"), Lack(queue="edge 1")])

    assert told == (
        "Queues 'gpu', 'edge 1': no worker serves them, and the run waits for one. "
        "Start it: nflow worker -q 'gpu,edge 1'"
    )


def test_a_name_that_moves_the_cursor_is_told_by_its_codes():
    assert served_now(["a\x1b[2J"]) == "Queue 'a\\x1b[2J' is served now."


def test_why_a_run_waits_names_the_python():
    lack = Lack(queue="task", python="py313", there=("py311",))

    assert waits_for(lack) == "waits for a worker on queue 'task' with Python 3.13"
