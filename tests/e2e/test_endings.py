"""A failure is never reported as success: what ends a task badly fails it, with a reason, and the exit code is 1."""

import pytest

from tests.e2e.station import Station


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise_error", "ValueError: the beam is down"),
        ("leave_at_once", "ended itself with exit code 3"),
        ("leave_a_child_behind", "ended itself with exit code 3"),
        ("leave_a_program_behind", "ended itself with exit code 3"),
        ("be_killed", "ended by SIGKILL"),
        ("sys_exit", "SystemExit: enough"),
        ("return_number", "returned a int, which is not an Action"),
        ("leave_thread", "data['thread']"),
        ("exhaust_stack", "RecursionError"),
    ],
)
async def test_a_task_that_ends_badly_fails_with_a_reason(laptop: Station, how: str, reason: str):
    process = await laptop.nflow("run", *laptop.workflow("endings", how=how), "--slots", "1")

    assert await process.end() == 1, process.story

    assert reason in "\n".join((*process.out, *process.err))
    assert any("endings failed" in line for line in process.out)
    assert laptop.ledger() == ["bad"]


async def test_a_task_whose_module_is_missing_on_the_worker_fails_with_its_name(station: Station):
    (station.folder / "own").mkdir()
    (station.folder / "own" / "only_here.py").write_text("ANSWER = 42\n")
    await station.worker()

    run = await station.submit("elsewhere", variables={"PYTHONPATH": str(station.folder / "own")})

    async with station.following(run) as story:
        finished = await story.finished()
        assert finished.status == "failed"
        assert "only_here" in story.failure().message


async def test_a_worker_goes_on_after_its_slots_died(station: Station):
    await station.worker(slots=1)
    for how in ("leave_at_once", "be_killed"):
        async with station.following(await station.submit("endings", how=how)) as story:
            assert (await story.finished()).status == "failed"

    async with station.following(await station.submit("gated")) as story:
        await story.succeeds()
