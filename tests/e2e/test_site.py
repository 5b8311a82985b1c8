"""With a site's server, a laptop submits and looks on; the site's workers do the work."""

from nflow.core.events import DagStarted
from tests.e2e.station import Station


async def test_nflow_run_takes_no_job_of_the_site(station: Station):
    await station.worker("workflow,dag")
    waiting = await station.submit("gated")
    laptop = await station.nflow("run", *station.workflow("gated"))
    async with station.following(waiting) as theirs:
        await theirs.until(lambda: bool(theirs.of(DagStarted)))
        client = await station.client()
        [own] = [entry.run for entry in await client.runs() if entry.run != waiting]
        async with station.following(own) as story:
            await story.until(lambda: bool(story.of(DagStarted)))
            assert theirs.claims() == story.claims() == []

            worker = await station.worker("task")

            assert await laptop.end() == 0, laptop.story
            await theirs.succeeds()
            await story.succeeds()
            names = {claim.worker for claim in (*theirs.claims(), *story.claims())}
            assert len(names) == 1
            assert f"{names.pop()} serves" in "".join(worker.err)


async def test_nflow_run_shows_what_tasks_elsewhere_print(station: Station):
    await station.worker()

    laptop = await station.nflow("run", *station.workflow("gated"))

    assert await laptop.end() == 0, laptop.story
    assert [line for line in laptop.out if line.endswith("begins")] == ["first begins", "second begins", "third begins"]
