"""A server without room: new work is refused in words, nothing is dropped, and all goes on once there is room."""

import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nflow.bus.nats import NatsBus, connect
from nflow.errors import StorageFull
from tests.e2e.station import Station
from tests.servers import Server

#: Bytes of the small disk, and of what fills it.
DISK = 16_000_000
PIECE = 500_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "nflow-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", f"remount,size={8 * DISK}", str(disk)], check=True)


@pytest.fixture
async def cramped(tmp_path: Path, disk: Path) -> AsyncIterator[Station]:
    """Processes around a server with little room."""
    server = Server(disk, store="max_file: 2GB").start()
    station = Station(tmp_path, [server])
    yield station
    left = await station.close()
    server.kill()
    assert left == {}


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Station]:
    """Processes around a server that may store little. Its streams are older than that: logs reserve more."""
    folder = tmp_path / "server"
    first = Server(folder).start()
    await (await connect(first.url, token=first.token)).close()
    first.stop()
    server = Server(folder, store=f"max_file: {DISK}").start()
    station = Station(tmp_path, [server])
    yield station
    left = await station.close()
    server.kill()
    assert left == {}


async def fill(bus: NatsBus, subject: str) -> None:
    """Store something there until there is no room for more."""
    with suppress(StorageFull):
        for number in itertools.count():
            await bus.append(f"{subject}.{number}", os.urandom(PIECE))


@pytest.mark.slow
async def test_a_full_disk_refuses_new_work_and_all_goes_on_when_there_is_room(cramped: Station, disk: Path):
    worker = await cramped.worker()
    gate = cramped.gate("second")
    run = await cramped.submit("gated")
    bus = (await cramped.client()).engine.bus
    async with cramped.following(run) as story:
        await story.begun("second")
        await fill(bus, f"{bus.namespace}.event.filler.x")
        await fill(bus, f"{bus.namespace}.blob.filler.x")
        gate.open()

        refused, doctor = await cramped.nflow("start", *cramped.workflow("talk")), await cramped.nflow("doctor")

        await worker.until_says("waits for room")
        assert await refused.end() == 3
        assert refused.out == []
        assert "Nothing was started." in refused.err[0]
        assert "make room" in refused.err[0]
        assert await doctor.end() == 1
        assert [line for line in doctor.out if line.startswith("✘ storage")]
        assert not worker.ended

        enlarge(disk)
        cramped.server.restart()

        await story.succeeds()
        assert cramped.ledger() == ["first", "second", "third"]
        assert [entry.run for entry in await (await cramped.client()).all()] == [run]


async def test_a_limit_that_is_reached_refuses_new_work_until_something_is_removed(limited: Station):
    worker = await limited.worker()
    gate = limited.gate("second")
    run = await limited.submit("gated")
    bus = (await limited.client()).engine.bus
    async with limited.following(run) as story:
        await story.begun("second")
        await fill(bus, f"{bus.namespace}.blob.filler.x")
        gate.open()
        await worker.until_says("waits for room")

        refused = await limited.nflow("run", *limited.workflow("talk"))
        assert await refused.end() == 3
        assert "Nothing was started. The server has no room" in refused.err[0]
        await bus.purge(f"{bus.namespace}.blob.filler.>")

        await story.succeeds()
        assert limited.ledger() == ["first", "second", "third"]
        again = await limited.nflow("start", "--wait", *limited.workflow("gated"))
        assert await again.end() == 0
