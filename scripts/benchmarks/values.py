"""How fast values of different sizes go from one task to the next: on the server, and in a shared folder."""

import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks import texts
from benchmarks.figure import Effort, Pair
from benchmarks.station import Station

SIZES_BYTES: Final = (1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28)

#: Where values are kept, in words.
PLACES: Final = {"nats": "on the server", "file": "in a shared folder"}

#: `put`: from the last line of the task that made a value to the first line of the one that takes it, dispatch and all;
#: `get`: until it has the value.
WAYS: Final = ("put", "get")

_MEGABYTE = 1e6


async def throughput(effort: Effort, *, place: str, way: str, size_bytes: int) -> AsyncIterator[Pair]:
    """Megabytes per second of values of one size; the copy of a file stands beside each."""
    with tempfile.TemporaryDirectory(prefix="nflow-bench-") as shared:
        async with Station({"NFLOW_BLOBS_URL": "nats" if place == "nats" else f"file://{shared}"}) as station:
            workflow, out = station.workflow("value", texts.VALUE), station.folder / "times"
            for number in range(effort.times(5) + 1):
                await station.run(workflow, {"out": str(out), "size": size_bytes})
                ended, began, got = map(float, out.read_text().split())
                seconds = began - ended if way == "put" else got
                if number:  # the first one warms up
                    yield size_bytes / seconds / _MEGABYTE, size_bytes / _copy(Path(shared), size_bytes) / _MEGABYTE


def named(size_bytes: int) -> str:
    """A size as people write it."""
    return f"{size_bytes >> 20} MiB" if size_bytes >= 1 << 20 else f"{size_bytes >> 10} KiB"


def _copy(folder: Path, size_bytes: int) -> float:
    """Seconds of the copy of a file, until it is on the disk."""
    source, copy = folder / "source", folder / "copy"
    source.write_bytes(os.urandom(1024) * (size_bytes // 1024))
    start = time.perf_counter()
    shutil.copyfile(source, copy)
    fd = os.open(copy, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    seconds = time.perf_counter() - start
    copy.unlink()
    source.unlink()
    return seconds
