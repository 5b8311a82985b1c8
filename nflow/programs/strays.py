"""Processes that a task has started and that have left its process group: they end with a task that ends badly.

They are known by a variable of their environment, which they have inherited. Linux only; elsewhere nobody can tell.
"""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

#: Which execution of a task a process belongs to. Programs of users may be glad to know it, too.
VARIABLE = "NFLOW_EXECUTION"

#: Seconds that a process takes to be gone once it is killed; one that hangs in the kernel is not waited for.
_LONGEST = 1.0

_PROC = Path("/proc")


def end_strays(execution: str) -> None:
    """Kill what is left of an execution on this machine, and wait until it is gone.

    It is looked for until nobody new is found: one that is killed may have started another just before.
    """
    mark = f"{VARIABLE}={execution}".encode(errors="surrogateescape")
    known: set[int] = set()
    while found := {pid for pid in _everybody() - known if mark in _environment(pid)}:
        known |= found
        for pid in found:
            _end(pid)


def _end(pid: int) -> None:
    with suppress(OSError):  # gone by now, or another user's
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [], _LONGEST)
        finally:
            os.close(process)


def _everybody() -> set[int]:
    try:
        return {int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdigit()}
    except OSError:
        return set()


def _environment(pid: int) -> list[bytes]:
    """The variables that a process was started with; none of one that has ended, or is another user's."""
    with suppress(OSError):
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    return []
