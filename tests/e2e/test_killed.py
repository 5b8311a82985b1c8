"""What is killed costs no run: workers, clients and servers die in the middle of one, and it succeeds all the same."""

from collections import Counter

from tests.e2e.station import Station
from tests.e2e.story import TAKEOVER


async def test_a_run_goes_on_when_the_worker_of_its_tasks_is_killed(station: Station):
    driver = await station.worker("workflow,dag")
    victim = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("task")

        killed = await victim.kill()
        gate.open()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "second", "third"]
        assert min(story.taken_over(killed)) < TAKEOVER
        assert not driver.ended


async def test_a_run_goes_on_when_the_worker_that_drives_it_is_killed(station: Station):
    driver = await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")
        await station.worker("workflow,dag")

        killed = await driver.kill()
        gate.open()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]
        assert max(story.taken_over(killed)) < TAKEOVER


async def test_a_run_goes_on_when_the_client_that_started_it_is_killed(station: Station):
    await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    client = await station.nflow("start", "--wait", *station.workflow("gated"))
    run = await client.first_line()

    await client.kill()

    async with station.following(run) as story:
        gate.open()
        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]


async def test_a_run_that_waits_for_workers_outlives_its_client_and_the_server(station: Station):
    client = await station.nflow("start", "--wait", *station.workflow("gated"))
    run = await client.first_line()

    await client.kill()
    station.server.restart()

    await station.worker()
    async with station.following(run) as story:
        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]


async def test_a_run_goes_on_when_the_server_is_killed_and_started_again(station: Station):
    await station.worker("workflow,dag")
    await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")

        station.server.restart()
        gate.open()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]


async def test_nflow_starts_its_own_server_again_when_that_is_killed(laptop: Station):
    await laptop.worker("workflow,dag")
    await laptop.worker("task")
    gate = laptop.gate("second")
    run = await laptop.submit("gated")
    async with laptop.following(run) as story:
        await story.begun("second")

        laptop.kill_server()
        gate.open()

        await story.succeeds()
        assert laptop.ledger() == ["first", "second", "third"]


async def test_a_run_goes_on_when_its_worker_and_the_server_are_killed_together(laptop: Station):
    victim = await laptop.worker()
    await laptop.worker()
    gate = laptop.gate("second")
    run = await laptop.submit("gated")
    async with laptop.following(run) as story:
        await story.begun("second")

        killed = await victim.kill()
        laptop.kill_server()
        gate.open()

        await story.succeeds()
        assert max(story.taken_over(killed)[:1]) < 2 * TAKEOVER


async def test_a_task_that_is_begun_again_gets_the_dags_it_has_started_before(station: Station):
    await station.worker("workflow,dag,small", slots=5)
    victim = await station.worker("task")
    gate = station.gate("small")
    run = await station.submit("sub_dags", count=5)
    async with station.following(run) as story:
        await story.begun("small", times=5)
        await story.until(lambda: "all are started" in story.said("start_all"))
        await station.worker("task")

        await victim.kill()
        await story.until(lambda: story.said("start_all").count("all are started") == 2)
        gate.open()

        await story.succeeds()
        assert Counter(station.ledger()) == {"start_all": 2, "small": 5}
        assert story.said("start_all")[-1] == "5 have ended"
