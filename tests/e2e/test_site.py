"""With a site's server, a laptop submits and looks on; the site's workers do the work."""

from nflow.core.events import DagStarted
from tests.e2e.station import Station


async def test_nflow_run_takes_no_job_of_the_site(station: Station):
    await station.worker("workflow,dag")
    waiting = await station.submit("gated")
    async with station.following(waiting) as theirs:
        laptop = await station.nflow("run", *station.workflow("gated"))
        own = await station.next_run(after=waiting)
        async with station.following(own) as ours:
            for story in (theirs, ours):
                await story.has(DagStarted)
            await station.heartbeats(1)  # time in which the laptop could have taken something
            assert theirs.claims() == ours.claims() == []

            worker = await station.worker("task")

            assert await laptop.end() == 0, laptop.story
            await theirs.succeeds()
            await ours.succeeds()
            [name] = {claim.worker for claim in (*theirs.claims(), *ours.claims())}
            assert f"{name} serves" in "\n".join(worker.err)


async def test_nflow_run_shows_what_tasks_elsewhere_print(station: Station):
    await station.worker()

    laptop = await station.nflow("run", *station.workflow("gated"))

    assert await laptop.end() == 0, laptop.story
    assert [line for line in laptop.out if line.endswith("begins")] == ["first begins", "second begins", "third begins"]
