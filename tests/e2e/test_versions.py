"""Workers of two versions of nflow in one fleet: what the older cannot read it leaves to the newer, and says so."""

import json
import shutil
from pathlib import Path

import pytest

import nflow
from nflow.bus.port import Record
from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.wire.hints import unpack_hint
from tests.e2e.news import News
from tests.e2e.process import Process
from tests.e2e.station import Station

NEWER = "7.5.0"


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file.name} no longer has {old!r}"
    file.write_text(text.replace(old, new))


class Version:
    """A copy of nflow that calls itself newer, and adds a field to an event; perhaps with a schema of its own."""

    def __init__(self, folder: Path, *, schema: int) -> None:
        package = folder / "nflow"
        shutil.copytree(Path(nflow.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        changed(package / "_version.py", nflow.__version__, NEWER)
        changed(package / "wire" / "messages.py", "SCHEMA: Final = 1 ", f"SCHEMA: Final = {schema} ")
        lost = "    lost: int = 0  #: executions of this attempt that vanished with their worker\n"
        changed(package / "core" / "events.py", lost, f'{lost}    mood: str = "fine"\n')
        entry = "    seen: float\n"
        changed(package / "worker" / "heartbeat.py", entry, f"{entry}    mood: str = 'fine'\n")
        self._variables = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}

    async def nflow(self, station: Station, *arguments: str) -> Process:
        return await station.nflow(*arguments, **self._variables)

    async def worker(self, station: Station) -> Process:
        process = await self.nflow(station, "worker", "--slots", "2")
        await process.until_says(" serves ")
        return process


@pytest.fixture
def newer(tmp_path: Path) -> Version:
    """A version that the present one cannot read."""
    return Version(tmp_path / "newer", schema=2)


@pytest.fixture
def later(tmp_path: Path) -> Version:
    """A version that has but added something."""
    return Version(tmp_path / "later", schema=1)


async def ended(station: Station, run: RunId) -> str:
    """How a run ended, once it has, by the index: its log may be of a version that is not read here."""
    engine, news, states = (await station.client()).engine, News(), list[str]()

    def on_entry(record: Record) -> None:
        states.append(unpack_hint(record.payload, RunEntry).state)
        news.tell()

    subject = engine.subjects.kv("runs", run)
    watch = engine.bus.watch(subject, on_entry)
    if last := await engine.bus.last(subject):
        on_entry(last)
    await news.until(lambda: states[-1] in ("succeeded", "failed", "stopped"))
    watch.close()
    return states[-1]


async def test_an_older_worker_leaves_what_a_newer_one_must_do_and_works_on(station: Station, newer: Version):
    older = await station.worker()
    theirs = await newer.nflow(station, "start", "--wait", *station.workflow("gated"))
    await older.until_says(f"nflow {NEWER} wrote this message")

    ours = await station.nflow("start", "--wait", *station.workflow("gated"))
    assert await ours.end() == 0, ours.story
    assert not theirs.ended

    await newer.worker(station)
    assert await theirs.end() == 0, theirs.story
    assert not older.ended
    told = [line.split("run ")[1].split()[0] for line in older.err if NEWER in line]
    assert len(told) <= 3, "more than a line for the jobs of one kind"
    assert set(told) == {theirs.out[0]}


async def test_a_run_of_an_older_worker_goes_on_with_a_newer_one(station: Station, newer: Version):
    older = await station.worker()
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
    await newer.worker(station)

    await older.kill()
    gate.open()

    assert await ended(station, run) == "succeeded"
    assert station.ledger() == ["first", "second", "second", "third"]


async def test_an_older_worker_hands_back_a_run_that_a_newer_one_has_driven(station: Station, newer: Version):
    first = await newer.worker(station)
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
    older = await station.worker()

    await first.kill()
    await older.until_says("is left to newer workers")
    await station.heartbeats(4)
    bus = (await station.client()).engine.bus
    owners = (await bus.read(f"{bus.namespace}.event.{run}.*._owner")).records
    assert len(owners) <= 4, "it takes over again and again what it cannot read"
    assert not (await bus.read(f"{bus.namespace}.dead.>")).records

    await newer.worker(station)
    gate.open()
    assert await ended(station, run) == "succeeded"
    assert not older.ended


async def test_versions_that_differ_in_what_was_added_work_on_the_same_runs(station: Station, later: Version):
    both = [await station.worker(), await later.worker(station)]
    gate = station.gate("wide")
    run = await station.submit("wide", variables={"WIDTH": "4"})
    async with station.following(run) as story:
        await story.begun("wide", times=4)

        doctor, workers = await station.nflow("doctor"), await station.nflow("workers", "--json")

        assert await doctor.end() == 0, doctor.story
        assert [line for line in doctor.out if f"1 of nflow {nflow.__version__}, 1 of nflow {NEWER}" in line]
        assert await workers.end() == 0
        assert {entry["version"] for entry in json.loads("\n".join(workers.out))} == {nflow.__version__, NEWER}
        gate.open()
        await story.succeeds()
        assert len({claim.worker for claim in story.claims()}) == 2
        assert not any(worker.ended for worker in both)
