"""What tasks write, brought to the screen no faster than it is shown."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest

from nflow.bus.clock import VirtualClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.cli.follow.lines import ShownLines
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.engine.engine import Engine
from nflow.engine.reading import PAGE
from nflow.store.kv import KvStore
from nflow.wire.lines import Line, pack_lines

RUN = RunId("01run")


class Shown:
    """What came to the screen, which the test may hold up."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.most = 0
        self.come = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def show(self, lines: Sequence[Line]) -> None:
        self.most = max(self.most, len(lines))
        self.texts += [line.text for line in lines]
        self.come.set()
        await self.free.wait()

    async def some(self) -> None:
        async with asyncio.timeout(10):
            await self.come.wait()
        self.come.clear()


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    bus = MemoryBus(MemoryServer(VirtualClock()))
    engine = Engine(bus, WorkerId("w"), KvStore(bus))
    yield engine
    engine.close()
    await bus.close()


def write(engine: Engine, *texts: str) -> None:
    subject = engine.subjects.lines(RUN, DagId("main:1"), TaskId("a"))
    for text in texts:
        engine.bus.publish(subject, pack_lines([Line(at=0.0, stream="out", text=text)], attempt=1))


async def test_lines_come_in_order_those_from_before_and_those_that_are_written_meanwhile(engine: Engine):
    shown = Shown()
    write(engine, "one", "two")

    async with ShownLines(engine, RUN, shown.show):
        await shown.some()
        write(engine, "three")
        await shown.some()
        write(engine, "four")

    assert shown.texts == ["one", "two", "three", "four"]


async def test_what_a_slow_screen_has_not_shown_stays_on_the_server(engine: Engine):
    shown = Shown()
    shown.free.clear()

    async with ShownLines(engine, RUN, shown.show):
        write(engine, *map(str, range(5 * PAGE)))
        await shown.some()
        assert len(shown.texts) <= PAGE
        shown.free.set()

    assert shown.texts == list(map(str, range(5 * PAGE)))
    assert shown.most <= PAGE


async def test_a_run_that_is_left_is_read_no_further(engine: Engine):
    shown = Shown()
    shown.free.clear()
    write(engine, *map(str, range(5 * PAGE)))

    with suppress(KeyError):
        async with ShownLines(engine, RUN, shown.show):
            await shown.some()
            raise KeyError

    assert len(shown.texts) == PAGE


async def test_a_broken_message_is_told_and_the_next_one_shown(engine: Engine):
    shown = Shown()
    engine.bus.publish(engine.subjects.lines(RUN, DagId("main:1"), TaskId("a")), b"nonsense")
    write(engine, "next")

    async with ShownLines(engine, RUN, shown.show):
        pass

    assert "cannot be read" in shown.texts[0]
    assert shown.texts[1:] == ["next"]
