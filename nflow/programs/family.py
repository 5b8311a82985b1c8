"""The processes of a program: its process group, and the descendants that have left it.

Linux only, where /proc tells who is whose child and a pidfd tells when a process is gone. Elsewhere there is only the
process group, and nobody tells when the last of it is gone.
"""

import os
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

HAS_PIDFD = hasattr(os, "pidfd_open")

_PROC = Path("/proc")


class _Kinship(NamedTuple):
    parent: int
    group: int


class Family:
    """Those processes, from the moment that somebody wants to end them. Its `fileno()` is readable when one is gone.

    Args:
        pid: The process of the program.
        group: Its process group.
        mark: A file that only they have inherited, under the same number. By it those are known who have left the
            group and whose parents are gone.
    """

    def __init__(self, pid: int, group: int, *, mark: int) -> None:
        self._group = group
        self._mark = mark
        self._alive: dict[int, int] = {}  # their pidfds
        self._outside: set[int] = set()  # those of them which have left the group
        self._deaths = select.epoll()
        self._adopt(pid)
        self._gather()

    def fileno(self) -> int:
        """What to wait for; then ask `is_gone`."""
        return self._deaths.fileno()

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to all of them."""
        self._gather()
        send_to_group(self._group, signum)
        for pid in self._outside:
            with suppress(OSError):  # gone by now, or another user's
                signal.pidfd_send_signal(self._alive[pid], signum)

    def is_gone(self) -> bool:
        """Whether none of them is left, nor of those that they have started meanwhile."""
        self._bury()
        if not self._alive:
            self._gather()
        return not self._alive

    def close(self) -> None:
        """Let go of what it takes to watch them."""
        for pidfd in self._alive.values():
            os.close(pidfd)
        self._alive.clear()
        self._deaths.close()

    def _gather(self) -> None:
        """Take in whoever is there and not yet known."""
        self._bury()  # before: the number of one that is gone may be another's by now
        everybody = _everybody()
        members = {pid for pid, kinship in everybody.items() if kinship.group == self._group or _has(pid, self._mark)}
        for pid in _with_descendants(members | self._alive.keys(), everybody) - self._alive.keys():
            self._adopt(pid)
        self._outside = {pid for pid in self._alive if pid in everybody and everybody[pid].group != self._group}

    def _adopt(self, pid: int) -> None:
        with suppress(OSError):  # gone by now
            self._alive[pid] = pidfd = os.pidfd_open(pid)
            self._deaths.register(pidfd, select.EPOLLIN)

    def _bury(self) -> None:
        dead = {fd for fd, _ in self._deaths.poll(0, max(len(self._alive), 1))}
        for pid in [pid for pid, pidfd in self._alive.items() if pidfd in dead]:
            self._outside.discard(pid)
            os.close(self._alive.pop(pid))


def send_to_group(group: int, signum: signal.Signals) -> None:
    """Send a signal to a process group, if there is anybody in it who may be sent one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signum)


def group_is_empty(group: int) -> bool:
    """Whether nobody is left in a process group who may be sent a signal."""
    try:
        os.killpg(group, 0)
    except OSError:
        return True
    return False


def _has(pid: int, mark: int) -> bool:
    """Whether another process has the same file under the same number."""
    try:
        return pid != os.getpid() and os.path.samestat(os.fstat(mark), os.stat(f"{_PROC}/{pid}/fd/{mark}"))  # noqa: PTH116
    except OSError:  # it has no such file, or is gone by now, or another user's
        return False


def _with_descendants(pids: Iterable[int], everybody: dict[int, _Kinship]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, kinship in everybody.items():
        children.setdefault(kinship.parent, []).append(pid)
    found: set[int] = set()
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


def _everybody() -> dict[int, _Kinship]:
    """All living processes of this machine. Those that have ended and are merely unburied do not count."""
    found = {}
    for entry in os.scandir(_PROC):
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # gone by now
            # The second field is a name in parentheses, which may itself have spaces and parentheses.
            state, parent, group = (_PROC / entry.name / "stat").read_bytes().rpartition(b")")[2].split()[:3]
            if state not in (b"Z", b"X"):
                found[int(entry.name)] = _Kinship(int(parent), int(group))
    return found
