"""nflow's own server: one for all commands of a user, whoever started it and whoever is killed."""

import asyncio

from tests.e2e.process import has_ended
from tests.e2e.station import Station
from tests.server.conftest import runs, servers


async def test_two_commands_that_race_to_start_the_server_share_one(laptop: Station):
    gate = laptop.gate("first")

    racing = await asyncio.gather(*(laptop.nflow("run", *laptop.workflow("gated")) for _ in range(2)))
    await asyncio.gather(*(process.until_says("first begins") for process in racing))
    there = servers(laptop.embedded)
    gate.open()
    codes = await asyncio.gather(*(process.end() for process in racing))

    assert codes == [0, 0], "\n".join(process.story for process in racing)
    assert len(there) == 1
    assert sorted(laptop.ledger()) == ["first", "first", "second", "second", "third", "third"]
    assert has_ended(there[0], 5.0)
    assert not runs(laptop.embedded)


async def test_the_server_outlives_the_command_that_started_it_while_others_use_it(laptop: Station):
    owner = await laptop.worker()
    await laptop.worker("workflow,dag,task")
    gate = laptop.gate("second")
    run = await laptop.submit("gated")
    async with laptop.following(run) as story:
        await story.begun("second")
        there = servers(laptop.embedded)

        await owner.kill()
        gate.open()

        await story.succeeds()
        assert servers(laptop.embedded) == there
        assert set(laptop.ledger()) == {"first", "second", "third"}  # the second again if the owner ran it


async def test_a_run_left_by_a_killed_command_goes_on_with_the_next_one(laptop: Station):
    gate = laptop.gate("second")
    first = await laptop.nflow("run", *laptop.workflow("gated"))
    await first.until_says("second begins")
    await first.kill()
    gate.open()

    second = await laptop.nflow("run", *laptop.workflow("talk", lines=1))
    await second.until_says("left from before")
    assert await second.end() == 0

    worker = await laptop.worker()
    client = await laptop.client()
    left = next(entry for entry in await client.all() if entry.workflow == "gated")
    async with laptop.following(left.run) as story:
        await story.succeeds()
        assert not worker.ended
