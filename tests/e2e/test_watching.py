"""What `nflow logs -f` and `nflow events -f` show while servers and workers come and go: no gap, no repetition."""

import json
import os
import re
import signal

import pytest

from tests.cli.program import peak_memory_bytes
from tests.e2e.process import Process
from tests.e2e.station import Station
from tests.e2e.test_outages import stay_for

LINES = 2000


async def ticks_through_an_outage(station: Station, *following: str) -> Process:
    """A run that prints while its server is killed and started again under somebody who looks on."""
    worker = await station.worker()
    run = await station.submit("ticks", lines=LINES)
    looking = await station.nflow(*following[:1], run, *following[1:])
    await looking.until_says("tick")
    async with station.following(run) as story:
        await story.begun("tick")

        os.kill(station.server.pid, signal.SIGSTOP)  # what is sent to it from here on dies with it
        await stay_for(0.5, worker)
        station.server.kill()
        await stay_for(1.0, worker)
        station.server.start()

        await story.succeeds()
    return looking


def ticks(process: Process) -> list[int]:
    return [int(line.removeprefix("tick ")) for line in process.out if line.startswith("tick ") and line[-1].isdigit()]


async def test_lines_that_are_followed_through_a_death_of_the_server_have_no_gap_and_no_repetition(station: Station):
    looking = await ticks_through_an_outage(station, "logs", "-f", "--raw")

    assert await looking.end() == 0, looking.story

    assert ticks(looking) == list(range(LINES))
    assert looking.out[-1] == "the last word"


async def test_lines_that_are_read_afterwards_are_all_there_too(station: Station):
    looking = await ticks_through_an_outage(station, "logs", "-f", "--raw")
    await looking.end()

    read = await station.nflow("logs", "@last", "tick", "--raw")

    assert await read.end() == 0, read.story
    assert ticks(read) == list(range(LINES))


async def test_events_that_are_followed_through_a_death_of_the_server_have_no_gap_and_no_repetition(station: Station):
    looking = await ticks_through_an_outage(station, "events", "-f", "--json", "--since", "1h")

    await looking.until_says('"kind": "run", "what": "succeeded"')
    looking.send(signal.SIGINT)
    assert await looking.end() == 130, looking.story

    read = await station.nflow("events", "@last", "--json")
    assert await read.end() == 0, read.story
    assert [json.loads(line) for line in looking.out] == [json.loads(line) for line in read.out]
    assert len(read.out) > 5


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_the_death_of_one_of_three_servers_leaves_no_gap_and_no_repetition(replicated: Station, number: int):
    worker = await replicated.worker()
    run = await replicated.submit("ticks", lines=LINES)
    looking = await replicated.nflow("logs", run, "-f", "--raw")
    await looking.until_says("tick")

    replicated.servers[number].kill()
    await stay_for(2.0, worker)
    replicated.servers[number].start()

    async with replicated.following(run) as story:
        await story.succeeds()
    assert await looking.end() == 0, looking.story
    assert ticks(looking) == list(range(LINES))


async def test_a_worker_that_is_killed_under_it_leaves_what_it_had_printed(station: Station):
    worker = await station.worker()
    gate = station.gate("last")
    run = await station.submit("ticks", lines=50)
    looking = await station.nflow("logs", run, "-f", "--raw")
    async with station.following(run) as story:
        await story.begun("last")

        await worker.kill()
        await station.worker()
        gate.open()

        await story.succeeds()
    assert await looking.end() == 0, looking.story
    assert ticks(looking) == list(range(50))
    assert looking.out[-1] == "the last word"


async def print_flood(station: Station, megabytes: int) -> None:
    """A task that prints so much keeps its first and its last lines, and its worker what memory it has."""
    worker = await station.worker()
    before = peak_memory_bytes(worker.pid)

    run = await station.submit("flood", megabytes=megabytes)
    async with station.following(run) as story:
        await story.succeeds()
    looking = await station.nflow("logs", run, "flood", "-f")
    assert await looking.end() == 0, looking.story

    blocks = [line.split()[4] for line in looking.out if " line " in line]
    assert blocks[0] == "0"
    assert blocks[-1] == str(megabytes * 16 - 1)
    [missing] = [line for line in looking.out if "are left out here" in line]
    found = re.search(r"(\d+) lines \((\d+) bytes\)", missing)
    assert found is not None
    whole = sum(len(line.split()[-1]) == 80 for line in looking.out if " line " in line)
    assert megabytes * 16 * 650 - int(found[1]) - whole in (0, 1, 2)  # the two around the gap are not whole
    assert peak_memory_bytes(worker.pid) - before < 100 * 1024**2


async def test_a_task_that_prints_too_much_keeps_its_first_and_its_last_lines(station: Station):
    await print_flood(station, 64)


@pytest.mark.slow
async def test_a_task_that_prints_a_gigabyte_keeps_its_first_and_its_last_lines(station: Station):
    await print_flood(station, 1024)
