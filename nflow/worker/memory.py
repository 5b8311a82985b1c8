"""What the system says of memory: what a process holds, and whether the kernel has killed for want of it."""

import os
from contextlib import suppress
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CGROUPS = Path("/sys/fs/cgroup")


def resident_bytes(pid: int) -> int:
    """The memory that a process holds at present; 0 where that cannot be known."""
    try:
        file = os.open(f"/proc/{pid}/statm", os.O_RDONLY)  # asked after every task: without Python's own buffers
    except OSError:
        return 0
    try:
        return int(os.read(file, 100).split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
    finally:
        os.close(file)


class OomKills:
    """Whether the kernel has killed processes of this one's control group for want of memory."""

    def __init__(self) -> None:
        self._seen = _counts()

    def happened(self) -> bool:
        """Whether it has, since this was last asked."""
        before, self._seen = self._seen, _counts()
        return any(count > before.get(file, 0) for file, count in self._seen.items())


def _counts() -> dict[Path, int]:
    """How often it has in the group that this process is in at present, which may have changed."""
    file = _file_of_this_process()
    if file is None:
        return {}
    with suppress(OSError, ValueError):
        fields = dict(line.split()[:2] for line in file.read_text().splitlines())
        return {file: int(fields.get("oom_kill", 0))}
    return {}


def _file_of_this_process() -> Path | None:
    """Where the kernel counts: in version 2 of control groups `memory.events`, in version 1 `memory.oom_control`."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        file = {
            "": _CGROUPS / path.lstrip("/") / "memory.events",
            "memory": _CGROUPS / "memory" / path.lstrip("/") / "memory.oom_control",
        }.get(controllers)
        if file is not None and os.access(file, os.R_OK):
            return file
    return None
