"""Hosts whose clocks are wrong, or are set while they work: nothing is decided by them."""

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from nflow.core.events import TaskSucceeded
from tests.e2e.station import Station

HOUR = 3600.0


def libraries() -> Iterator[Path]:
    """Where a person may say that it is, where pip puts it, and Debian."""
    if chosen := os.environ.get("LIBFAKETIME"):
        yield Path(chosen)
    if (wheel := find_spec("libfaketime")) is not None and wheel.origin is not None:
        yield Path(wheel.origin).with_name("vendor") / "libfaketime/src/libfaketime.so.1"
    yield from Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1")


@pytest.fixture
def clock(tmp_path: Path) -> "Clock":
    library = next((path for path in libraries() if path.exists()), None)
    if library is None:
        pytest.skip("no libfaketime: pip install libfaketime, or name it in LIBFAKETIME")
    return Clock(tmp_path / "faketime", str(library))


class Clock:
    """A wall clock of its own for some processes, which can be set while they run."""

    def __init__(self, file: Path, library: str) -> None:
        self._file = file
        self.variables = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(offset)
        fresh.replace(self._file)


async def worker_with(station: Station, clock: Clock) -> None:
    process = await station.nflow("worker", "--slots", "2", **clock.variables)
    await process.until_says(" serves ")


@pytest.mark.parametrize("offset", ["-1h", "+1h"])
async def test_a_worker_whose_clock_is_wrong_works_like_any_other(station: Station, clock: Clock, offset: str):
    clock.set(offset)
    await worker_with(station, clock)
    first = await station.nflow("start", "--wait", *station.workflow("gated"), **clock.variables)
    assert await first.end() == 0, first.story
    last = await station.submit("gated")
    async with station.following(last) as story:
        await story.succeeds()

    workers, newest = await station.nflow("workers", "--json"), await station.nflow("status", "@last", "--json")

    assert await workers.end() == 0
    [entry] = json.loads("\n".join(workers.out))
    assert 0 <= entry["up"] < 60
    assert abs(entry["seen"] - story.events[-1][1].at) < 60
    assert await newest.end() == 0
    [run] = json.loads("\n".join(newest.out))
    assert run["run"] == last, "the clock of whoever submitted the other one made it the last"
    assert 0 <= run["ended"] - run["started"] < 60


async def test_a_clock_that_is_set_while_a_task_runs_makes_no_negative_times(station: Station, clock: Clock):
    clock.set("+0")
    await worker_with(station, clock)
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")

        clock.set("-1h")
        gate.open()

        await story.succeeds()
        ahead = [at.at - done.provenance.start for done, at in story.events if isinstance(done, TaskSucceeded)]
        assert [round(seconds / HOUR) for seconds in ahead] == [0, 0, 1], "the clock was not set"
        for done in story.of(TaskSucceeded):
            assert 0 <= done.provenance.end - done.provenance.start < 60


async def test_a_worker_a_year_ahead_removes_nothing_that_is_young(station: Station, clock: Clock):
    first = await station.worker()
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        stopping = await station.nflow("stop", run)
        assert await stopping.end() == 0
        gate.open()
        await story.finished()
    await first.kill()
    client = await station.client()
    await client.engine.bus.purge(client.engine.subjects.sweep())  # nobody has swept lately

    clock.set("+365d")
    await worker_with(station, clock)
    await station.heartbeats(3)
    other = await station.submit("gated")
    async with station.following(other) as story:
        await story.succeeds()

    assert (await client.engine.bus.last(client.engine.subjects.sweep())) is not None, "nobody has swept"
    [kept] = [entry for entry in await client.all() if entry.run == run]
    assert kept.keeps_data
    assert (await client.engine.bus.read(client.engine.subjects.run_events(run))).records
