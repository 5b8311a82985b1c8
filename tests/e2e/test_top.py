"""The monitor on a real terminal, over a real server that is killed and comes back."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from nflow.bus.port import Record
from nflow.core.events import Event, RunFinished, Status, TaskStarted, TaskSucceeded
from nflow.top.feed import Feed
from nflow.top.model import Model
from nflow.top.runs import Progress
from tests.e2e.news import News
from tests.e2e.station import Station
from tests.e2e.terminal import terminal

TOP = f"{Path(sys.executable).with_name('nflow')} top; echo it ended with $?; exec cat"

#: What sets a colour, but for the terminal's own.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[34][0-8][;m]")


def on(station: Station) -> dict[str, str]:
    return station.environment() | {"TERM": "xterm-256color", "LANG": "C.UTF-8", "TZ": "UTC"}


async def test_a_person_at_a_terminal_sees_and_does_what_is_to_be_done(station: Station):
    await station.worker()
    async with terminal(TOP, on(station)) as person:
        await person.shows("No runs yet")
        run = await station.submit("endings", how="raise_error")
        await person.shows("✘ failed")

        await person.press("f", "Enter")
        failure = await person.shows("main:1/bad  failed")
        assert "ValueError: the beam is down" in failure
        assert run in failure

        await person.press("r", "y")
        await person.shows("attempt 2 failed")

        await person.press("Escape")
        await person.shows("QUEUE")
        await person.resize(200, 60)
        await person.shows("REMARK")
        await person.press("q")
        await person.shows("it ended with 0")


async def test_a_run_is_stopped_from_the_terminal(station: Station):
    await station.worker()
    station.gate("first")
    async with terminal(TOP, on(station)) as person:
        await station.submit("gated")
        await person.shows("● running")

        await person.press("x", "n")

        await person.shows("■ stopped")


async def test_a_server_that_is_killed_is_told_of_and_the_terminal_goes_on_when_it_is_back(station: Station):
    await station.worker()
    gate = station.gate("first")
    async with terminal(TOP, on(station)) as person:
        run = await station.submit("gated")
        await person.shows("0/3    1")

        station.server.kill()
        await person.shows("NO SERVER")
        station.server.start()
        await person.shows_no_more("NO SERVER")
        gate.open()

        await person.shows("3/3    -")
        assert run in await person.shows("✔ succeeded")


@pytest.mark.parametrize(("variable", "sign"), [("TERM=vt100", "x failed"), ("NO_COLOR=1", "✘ failed")])
async def test_without_colours_it_says_the_same(station: Station, variable: str, sign: str):
    await station.worker()
    await station.submit("endings", how="raise_error")

    async with terminal(f"env {variable} {TOP}", on(station)) as person:
        await person.shows(sign)

        assert not _COLOURS.search(await person.styled_screen())


async def test_a_terminal_that_moves_no_cursor_is_not_drawn_on(station: Station):
    async with terminal(f"env TERM=dumb {TOP}", on(station)) as person:
        assert "nflow top --once" in await person.shows("it ended with 2")


async def test_without_a_terminal_it_says_what_to_do(station: Station):
    process = await station.nflow("top")

    assert await process.end() == 2
    assert "nflow top --once" in process.err[0]


@pytest.mark.parametrize("outages", [1, 3])
async def test_over_outages_of_the_server_each_event_is_shown_once(station: Station, outages: int):
    await station.worker(slots=4)
    gate = station.gate("wide")
    engine = (await station.client()).engine
    news, told = News(), list[Event]()

    class Watched(Model):
        """A model that tells of what it takes."""

        def take(self, event: Event, record: Record) -> None:
            super().take(event, record)
            told.append(event)
            news.tell()

    async with Feed(engine, Watched()) as feed:
        await feed.complete()
        run = await station.submit("wide", variables={"WIDTH": "20"})
        await news.until(lambda: sum(isinstance(event, TaskStarted) for event in told) == 4)

        for _ in range(outages):
            await asyncio.to_thread(station.server.restart)
            await station.heartbeats(1)
        gate.open()
        await news.until(lambda: any(isinstance(event, RunFinished) for event in told), patience=60)

        line = feed.model.runs.get(run)
        assert line is not None
        assert line.entry.state == Status.SUCCEEDED
        assert line.now() == Progress(done=20, total=20, running=0, failed=0)
        assert sum(isinstance(event, TaskSucceeded) for event in told) == 20
        assert (
            len({(type(event), getattr(event, "task", None)) for event in told if isinstance(event, TaskStarted)}) == 20
        )
