"""What a person sees of each way in which a task can end badly: what happened, where, and what can be done about it."""

import platform
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from nflow.core.events import TaskFailed
from tests.e2e.station import Station

#: How the task ends: what the program says of it, and the exit code of the task's process.
WAYS = {
    "raises": (["failing.py", "raise ValueError", "ValueError: no beam"], None),
    "exits": (["SystemExit: 3", "called sys.exit", "Let it return, or raise an exception."], None),
    "ends_its_process": (["SlotDied: The process of the task ended itself with exit code 3.", "called os._exit"], 3),
    "is_killed": (["killed by SIGKILL after it had used", "MiB", "dmesg"], -9),
    "crashes": (["killed by SIGSEGV", "compiled code", "Segmentation fault", "in crashes"], -11),
    "asks_for_too_much": (["MemoryError", "A slot of this worker may use 1024 MiB: worker.slot_memory."], None),
    "returns_a_number": (["returned a int, which is not an Action", "return None, or Action(data)"], None),
    "hands_on_a_file": (["data['file'] cannot be sent", "Send its path instead"], None),
    "loops": (["in loops", "TaskTimedOut: Task 'work' took longer than its timeout of 2 s", "a longer timeout="], None),
    "hangs_in_compiled_code": (["TaskTimedOut", "0.5 s after SIGTERM it was still there: it was killed."], -9),
    "has_stubborn_children": (["TaskTimedOut", "0.5 s after SIGTERM it was still there", "a longer timeout="], -9),
}

#: Those whose process was gone before `callback_finally` could be called.
SUDDEN = {"ends_its_process", "is_killed", "crashes", "hangs_in_compiled_code", "has_stubborn_children"}

LIMITS = {"NFLOW_WORKER_KILL_AFTER": "0.5", "NFLOW_WORKER_SLOT_MEMORY": "1GiB"}


async def test_each_bad_ending_is_told_with_its_reason_its_place_and_what_to_do(station: Station):
    worker = await station.nflow("worker", "--slots", "1", "--name", "edge-1", **LIMITS)
    await worker.until_says(" serves ")
    for how, (words, exit_code) in WAYS.items():
        process = await station.nflow("start", *station.workflow("failing", how=how), "--wait")

        assert await process.end() == 1, how
        told = "\n".join(process.err)
        assert [each for each in words if each not in told] == [], told
        assert f"main:1/work failed on {platform.node()} (worker edge-1-" in told, how
        assert "\n  line 59" in told, how
        assert "\n  line 0\n" not in told, how
        assert ("finally" in told) == (how not in SUDDEN), how
        async with station.following(process.out[0]) as story:
            [failed] = story.of(TaskFailed)
        assert failed.exit_code == exit_code, how
    assert station.processes().keys().isdisjoint(map(int, failed.output[-2:]))  # the stubborn children are gone


async def test_status_tells_it_as_well(station: Station):
    await station.worker(slots=1)
    await (await station.nflow("start", *station.workflow("failing", how="raises"), "--wait")).end()

    status = await station.nflow("status", "@last")

    assert await status.end() == 0
    assert "ValueError: no beam" in status.out
    assert "  line 59" in status.out


async def test_what_the_kernel_kills_for_want_of_memory_is_told_so(station: Station, small_memory: Path):
    worker = await station.nflow("worker", "--slots", "1", **LIMITS)
    await worker.until_says(" serves ")
    for pid in station.processes():
        (small_memory / "cgroup.procs").write_text(str(pid))

    process = await station.nflow("start", *station.workflow("failing", how="eats_all_there_is"), "--wait")

    assert await process.end() == 1
    told = "\n".join(process.err)
    assert "was killed by the kernel for want of memory after it had used" in told, told
    assert "Give it less at once" in told


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group of 300 MB, which the worker and its slots are put into."""
    version1, version2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    parent, file = (version1, "memory.limit_in_bytes") if version1.is_dir() else (version2, "memory.max")
    group = parent / f"nflow-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
        (group / file).write_text("300000000")
        (group / "cgroup.procs").touch()
    except OSError as error:
        pytest.skip(f"control groups cannot be made here: {error}")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        (parent / "cgroup.procs").write_text(pid)
    group.rmdir()
