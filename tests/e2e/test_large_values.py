"""Values larger than what any process but their own tasks' has memory for, and whose data are still to be read."""

import signal
from pathlib import Path

import pytest

from nflow.core.events import TaskSucceeded
from tests.e2e.process import Process
from tests.e2e.station import Station

MEGABYTE = 1 << 20
PATIENCE = 100.0

pytest.importorskip("numpy")


async def worker_on(station: Station, url: str) -> Process:
    process = await station.nflow("worker", "--slots", "1", NFLOW_BLOBS_URL=url)
    await process.until_says(" serves ")
    return process


@pytest.fixture(params=["nats", "folder"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where large values are kept."""
    if request.param == "nats":
        return "nats"
    (tmp_path / "shared").mkdir()
    return f"file://{tmp_path / 'shared'}"


def peak_of(process: Process) -> int:
    """The most memory that a process had, in bytes."""
    [line] = [line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024


async def test_a_value_is_there_for_the_second_execution_of_a_task_whose_worker_was_lost(station: Station, url: str):
    first, gate = await worker_on(station, url), station.gate("look_0")
    run = await station.submit("large", megabytes=8)

    async with station.following(run) as story:
        await story.begun("look_0")
        await worker_on(station, url)
        first.send(signal.SIGKILL)
        gate.open()
        await story.succeeds()

    assert len(story.claims("look_0")) == 2


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_gigabyte_takes_the_memory_of_its_tasks_and_no_other(station: Station, url: str):
    worker = await worker_on(station, url)
    run = await station.submit("large", megabytes=1024)

    async with station.following(run) as story:
        await story.succeeds(PATIENCE)

    peaks = [event.provenance.peak_memory_bytes for event in story.of(TaskSucceeded)]
    print(f"peaks: slots {[peak // MEGABYTE for peak in peaks]} MiB, worker {peak_of(worker) // MEGABYTE} MiB")
    assert max(peaks) <= 1.3 * 1024 * MEGABYTE + 100e6
    assert peak_of(worker) <= 200e6
