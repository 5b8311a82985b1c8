"""Slots that are real processes, and engines on a bus in memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.core.events import Event
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import TaskJob
from nflow.engine.engine import Engine
from nflow.store.kv import KvStore
from nflow.tasks import PythonTask
from nflow.wire.code import digest, pack_code
from nflow.wire.lines import Line, unpack_lines
from nflow.wire.messages import pack_job, unpack_events
from nflow.worker.process import ProcessSlot as Slot
from nflow.worker.process import spawn, start_slot
from tests.worker.crew import Site

Callback = Callable[..., object]

PATIENCE = 20.0


def task_job(name: str = "work", code: str = "", **fields: Any) -> TaskJob:
    """A job to run the task `name`."""
    given: dict[str, Any] = {
        "run": RunId("run"),
        "workflow": "test",
        "dag": DagId("main:1"),
        "task": TaskId(name),
        "name": name,
        "attempt": 1,
        "queue": "task",
        "code": code,
    }
    return TaskJob(**(given | fields))


async def no_calls(name: str, arguments: Sequence[Any]) -> Any:
    raise AssertionError(f"nobody expected the call {name}{arguments}")


class Bench:
    """Slots to run callbacks in, and what their tasks have written."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.messages: list[bytes] = []
        self.printed = asyncio.Event()
        self.terms: dict[str, Any] = {}

    async def slot(self, memory: int | None = None) -> Slot:
        environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        slot = await start_slot(self._publish, spawn(environment, memory))
        self.slots.append(slot)
        return slot

    async def run(
        self,
        callback: Callback,
        *,
        on: Slot | None = None,
        call: Callable[[str, Sequence[Any]], Awaitable[Any]] = no_calls,
        callback_finally: Callback | None = None,
        **fields: Any,
    ) -> Event:
        """What the task's events say of how it ended."""
        slot = on or await self.slot()
        code = pack_code(PythonTask("work", callback, callback_finally=callback_finally).shipped())
        job = task_job(code=digest(code), **fields)
        async with asyncio.timeout(PATIENCE):
            outcome = await slot.run(
                (pack_job(job), None, code, 1, "me", "host", self.terms), subject="l.w", attempt=1, call=call
            )
        [event] = unpack_events(outcome.events)
        return event

    @property
    def lines(self) -> list[Line]:
        return [line for message in self.messages for line in unpack_lines(message)[1]]

    def text(self, stream: str = "out") -> list[str]:
        return [line.text for line in self.lines if line.stream == stream]

    async def close(self) -> None:
        for slot in self.slots:
            slot.kill()
        await asyncio.gather(*(slot.end() for slot in self.slots))

    def _publish(self, subject: str, payload: bytes) -> None:
        self.messages.append(payload)
        self.printed.set()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def server(clock: VirtualClock) -> AsyncIterator[MemoryServer]:
    server = MemoryServer(clock)
    yield server
    await server.close()


@pytest.fixture
async def engine_of(server: MemoryServer) -> AsyncIterator[Callable[[str], Engine]]:
    """Makes the engine of one more process."""
    engines: list[Engine] = []

    def make(worker: str) -> Engine:
        bus = MemoryBus(server)
        engines.append(Engine(bus, WorkerId(worker), KvStore(bus)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(engine_of: Callable[[str], Engine]) -> Engine:
    return engine_of("me")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.close()
