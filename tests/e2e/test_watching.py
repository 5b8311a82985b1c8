"""What `nflow logs -f` and `nflow events -f` show while servers and workers come and go: no gap, no repetition."""

import json
import signal

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
