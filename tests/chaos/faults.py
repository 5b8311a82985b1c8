"""What the suite does to nflow, and the record of it: whatever nflow is blamed or excused for is looked up there."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is done."""

    WORKER_KILLED = "worker killed"
    WORKER_FROZEN = "worker frozen"
    SLOT_KILLED = "slot killed"
    SERVER_KILLED = "server killed"
    STORE_KILLED = "store killed"
    CUT = "connection cut"
    BLACK_HOLE = "connection black-holed"
    DELAY = "connection delayed"


#: Faults after which the work of a worker may rightly be begun again elsewhere. A broken or a slow connection is none.
TAKES_WORK = frozenset({Kind.WORKER_KILLED, Kind.WORKER_FROZEN, Kind.BLACK_HOLE})


@dataclass(slots=True, kw_only=True)
class Fault:
    """One of them. Times are seconds since the epoch; `end` is infinite while it lasts, and for ever for the dead."""

    kind: Kind
    start: float
    end: float = float("inf")
    worker: str | None = None  #: the name of the worker that it met; None: everybody
    pid: int | None = None  #: the process that it met
    is_alone: bool = False  #: nothing else was done before and behind it, so that nflow owes its full speed

    def overlaps(self, start: float, end: float) -> bool:
        """Whether any of it lies between these times."""
        return self.start <= end and self.end >= start

    def meets(self, worker: str) -> bool:
        """Whether that worker has felt it."""
        return self.worker in (None, worker)


@dataclass(slots=True)
class Faults:
    """All that was done, in the order of its beginning."""

    all: list[Fault] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Fault]:
        """Those of some kinds."""
        return [fault for fault in self.all if fault.kind in kinds]

    def that_took_work(self, worker: str, start: float, end: float) -> list[Fault]:
        """What may have taken work away from that worker between these times."""
        return [fault for fault in self.of(*TAKES_WORK) if fault.meets(worker) and fault.overlaps(start, end)]

    def has_killed(self, pid: int) -> bool:
        """Whether that process was a slot which the suite has killed."""
        return any(fault.pid == pid for fault in self.of(Kind.SLOT_KILLED))

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        return {kind.value: len(self.of(kind)) for kind in Kind}


def union(faults: Iterable[Faults]) -> Faults:
    """Those of several parts of a campaign, together."""
    return Faults([fault for part in faults for fault in part.all])
