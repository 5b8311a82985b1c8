"""How much a worker does: slots that are taken, cores that were used, memory that is held. For people only."""

import os
import time
from dataclasses import dataclass

from nflow.worker.memory import resident_bytes
from nflow.worker.pool import Pool

#: Fields of a process's statistics behind its name: user and system time, its own and that of children it has reaped.
_TIMES = slice(11, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a worker and its slots take, at one moment."""

    busy: int = 0
    lent: int = 0
    cpu: float = 0.0  #: cores, since the last look
    memory_bytes: int = 0


class Gauge:
    """Looks at a worker and its slots now and then; a look costs some microseconds a slot."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._at = time.monotonic()
        self._own = time.process_time()
        self._of_slots: dict[int, float] = {}

    def load(self) -> Load:
        """What they take now, and have taken since the last look."""
        pids = [slot.pid for slot in self._pool.slots]
        return Load(
            busy=self._pool.busy,
            lent=self._pool.lent,
            cpu=self._cores(pids),
            memory_bytes=sum(map(resident_bytes, (os.getpid(), *pids))),
        )

    def _cores(self, pids: list[int]) -> float:
        before, self._of_slots = self._of_slots, {pid: cpu_seconds(pid) for pid in pids}
        began, self._at = self._at, time.monotonic()
        own, self._own = self._own, time.process_time()
        used = self._own - own + sum(max(self._of_slots[pid] - before.get(pid, 0.0), 0.0) for pid in pids)
        return round(used / (self._at - began), 3) if self._at > began else 0.0


def cpu_seconds(pid: int) -> float:
    """The processor time that a process and its children have used; 0 where that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered: it is read at each beat
            times = file.read(1000).rpartition(b")")[2].split()[_TIMES]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0
