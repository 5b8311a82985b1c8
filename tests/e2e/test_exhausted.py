"""A worker that has no more open files: it says so, loses no task, blames none, and goes on when it has some."""

import resource
from pathlib import Path

import pytest

from tests.e2e.process import Process
from tests.e2e.station import Station

#: Open files that are left: less than a slot needs.
LEFT = 4


def leave_files(worker: Process, count: int) -> tuple[int, int]:
    """Let the worker open so many more files; what it was allowed before."""
    highest = max(int(file.name) for file in Path(f"/proc/{worker.pid}/fd").iterdir())
    before = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (highest + 1 + count, before[1]))
    return before


async def test_tasks_that_a_worker_has_no_files_for_wait_until_it_has(station: Station):
    worker = await station.worker(slots=1)
    before = leave_files(worker, LEFT)
    run = await station.submit("deep", depth=4)
    async with station.following(run) as story:
        await worker.until_says("Too many open files")
        await station.heartbeats(4)
        assert not worker.ended
        assert len(worker.err) < 20, "it spins"

        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, before)

        await story.succeeds()
        assert station.ledger() == ["descend"] * 4
        assert {claim.lost for claim in story.claims()} == {0}


async def test_tasks_that_a_worker_has_no_files_for_are_run_by_another(station: Station):
    worker = await station.worker(slots=1)
    leave_files(worker, LEFT)
    run = await station.submit("deep", depth=4)
    async with station.following(run) as story:
        await worker.until_says("Too many open files")

        await station.worker("task", slots=1)

        await story.succeeds()
        assert station.ledger() == ["descend"] * 4


@pytest.mark.parametrize(("megabytes", "process"), [(1, "the same process"), (200, "another process")])
async def test_a_slot_that_a_task_has_left_fat_is_replaced(station: Station, megabytes: int, process: str):
    worker = await station.nflow("worker", "--slots", "1", NFLOW_WORKER_RECYCLE_MEMORY="150MiB")
    await worker.until_says(" serves ")

    run = await station.submit("leaky", megabytes=megabytes)

    async with station.following(run) as story:
        await story.succeeds()
        await story.until(lambda: any(line.text == process for _, line in story.lines))
