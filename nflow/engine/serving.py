"""Which queues somebody serves, and what a run lacks beside.

Pure: it knows what it is told by those who listen to the workers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Serves(Protocol):
    """What a worker tells of itself."""

    @property
    def queues(self) -> Iterable[str]:
        """The queues that it serves, for all kinds of jobs."""

    @property
    def python(self) -> str:
        """The Python whose code it can open: `py311`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Jobs in this queue have no worker: none at all, or for tasks, none with the Python that they need."""

    queue: str
    python: str = ""  #: of the tasks that wait; empty: nobody serves the queue
    there: tuple[str, ...] = ()  #: the Pythons that are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The queues that a run may put jobs into, in the order of its file."""

    queues: tuple[str, ...]
    tasks: frozenset[str]  #: those that tasks wait in
    python: str  #: which its code needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Queues that are served, each with the Pythons of its workers."""

    pythons: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def lack(self, queue: str, python: str | None) -> Lack | None:
        """What jobs in this queue lack; where no Python is named, any worker will do."""
        there = self.pythons.get(queue)
        if there is None:
            return Lack(queue=queue)
        if python is None or python in there:
            return None
        return Lack(queue=queue, python=python, there=tuple(sorted(there)))

    def lacks(self, needs: Needs) -> dict[str, Lack]:
        """What a run lacks, by queue."""
        found = {queue: self.lack(queue, needs.python if queue in needs.tasks else None) for queue in needs.queues}
        return {queue: lack for queue, lack in found.items() if lack is not None}


def served_by(workers: Iterable[Serves]) -> Served:
    """What these workers serve together."""
    pythons: dict[str, set[str]] = {}
    for worker in workers:
        for queue in worker.queues:
            pythons.setdefault(queue, set()).add(worker.python)
    return Served(pythons={queue: frozenset(tags) for queue, tags in pythons.items()})
