"""The index of runs is a hint, but not a lie: who comes late overwrites nothing."""

from dataclasses import replace

import pytest

from nflow.core.ids import RunId
from nflow.engine.runs import RunEntry
from nflow.wire.hints import pack_hint, unpack_hint

RUNNING = RunEntry(run=RunId("r1"), workflow="scan", state="running", queue="workflow", submitted=0.5)
STOPPING = replace(RUNNING, state="stopping")
STOPPED = replace(RUNNING, state="stopped", ended=2.0)


@pytest.fixture
def index(engine):
    return engine.index


async def yes():
    return True


async def no():
    return False


async def test_a_driver_notes_how_its_run_is(index):
    await index.announce(replace(RUNNING, state="waiting"))

    await index.note(RUNNING, yes)

    assert await index.get(RUNNING.run) == RUNNING


async def test_a_driver_that_was_taken_over_from_notes_nothing(index):
    await index.put(STOPPED)

    await index.note(STOPPING, no)

    assert await index.get(RUNNING.run) == STOPPED


async def test_what_a_successor_notes_in_the_same_moment_stays(index, bus):
    is_mine = [True]

    async def write_first(subject):
        if is_mine.pop():
            is_mine.append(False)
            bus.before_append = nothing
            await index.put(STOPPED)

    async def nothing(subject):
        pass

    async def still_mine():
        return is_mine[0]

    bus.before_append = write_first

    await index.note(STOPPING, still_mine)

    assert await index.get(RUNNING.run) == STOPPED


async def test_an_announcement_in_the_same_moment_is_overwritten(index, bus):
    async def announce_first(subject):
        bus.before_append = nothing
        await index.announce(replace(RUNNING, state="waiting"))

    async def nothing(subject):
        pass

    bus.before_append = announce_first

    await index.note(RUNNING, yes)

    assert await index.get(RUNNING.run) == RUNNING


def test_a_reason_may_quote_the_name_of_a_file_that_is_no_utf_8():
    entry = RunEntry(run=RunId("r"), workflow="w", state="failed", queue="q", submitted=0.0, reason="scan_\udcb5m.h5")

    assert unpack_hint(pack_hint(entry), RunEntry) == entry
