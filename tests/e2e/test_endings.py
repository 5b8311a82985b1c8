"""A failure is never reported as success: what ends a task badly fails it, with a reason, and the exit code is 1."""

from nflow.core.events import Status
from nflow.models.workflow import load
from tests.e2e.station import WORKFLOWS, Station

#: How a task may end badly, and what a person must be told of it.
WAYS = {
    "raise_error": "the beam is down",
    "leave_at_once": "ended itself with exit code 3",
    "leave_a_child_behind": "ended itself with exit code 3",
    "leave_a_program_behind": "ended itself with exit code 3",
    "be_killed": "killed by SIGKILL",
    "sys_exit": "enough",
    "return_number": "returned a int, which is not an Action",
    "leave_thread": "data['thread']",
    "exhaust_stack": "maximum recursion depth exceeded",
}


async def test_a_task_that_ends_badly_fails_with_a_reason_and_is_not_run_again(station: Station):
    await station.worker(slots=1)
    client, workflow = await station.client(), load(WORKFLOWS / "endings.py")
    for how, reason in WAYS.items():
        run = await client.submit(workflow, {"folder": str(station.folder), "how": how})

        async with station.following(run) as story:
            assert (await story.finished()).status is Status.FAILED
            assert reason in story.failure().message, how

    assert station.ledger() == ["bad"] * len(WAYS)


async def test_nflow_run_tells_why_a_task_failed_and_its_exit_code_is_1(laptop: Station):
    process = await laptop.nflow("run", *laptop.workflow("endings", how="raise_error"))

    assert await process.end() == 1, process.story

    said = "\n".join((*process.out, *process.err))
    assert "ValueError: the beam is down" in said
    assert "endings failed" in said


async def test_a_task_whose_module_is_missing_on_the_worker_fails_with_its_name(station: Station):
    (station.folder / "own").mkdir()
    (station.folder / "own" / "only_here.py").write_text("ANSWER = 42\n")
    await station.worker()

    run = await station.submit("elsewhere", variables={"PYTHONPATH": str(station.folder / "own")})

    async with station.following(run) as story:
        assert (await story.finished()).status is Status.FAILED
        assert "only_here" in story.failure().message


async def test_a_worker_goes_on_after_its_only_slot_was_killed(station: Station):
    await station.worker(slots=1)
    async with station.following(await station.submit("endings", how="be_killed")) as story:
        assert (await story.finished()).status is Status.FAILED

    async with station.following(await station.submit("gated")) as story:
        await story.succeeds()
