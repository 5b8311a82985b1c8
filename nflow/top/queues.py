"""Queues as the monitor lists them: what waits in them, and who serves them. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nflow.engine.serving import Lack, served_by
from nflow.wire.subjects import ANY_PYTHON
from nflow.worker.heartbeat import WorkerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """How full one queue is, for one kind of jobs and one Python."""

    kind: str
    queue: str
    python: str
    waiting: int
    in_hand: int
    oldest: float | None = None  #: since when the oldest job waits, by the server's clock
    runs: tuple[str, ...] = ()  #: whose jobs wait; known only of queues that nobody serves


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLine:
    """A queue: the jobs of all kinds that are in it."""

    queue: str
    waiting: int = 0
    in_hand: int = 0
    oldest: float | None = None
    served_by: tuple[str, ...] = ()  #: workers
    kinds: Mapping[str, int] = field(default_factory=dict)  #: what waits, by kind
    lack: Lack | None = None  #: what jobs that wait have no worker for


def queue_lines(fills: Iterable[Fill], workers: Iterable[WorkerEntry]) -> list[QueueLine]:
    """A line for each queue: those first that nobody serves, then those in which most waits."""
    workers = list(workers)
    by_name: dict[str, list[Fill]] = {queue: [] for worker in workers for queue in worker.queues}
    for fill in fills:
        by_name.setdefault(fill.queue, []).append(fill)
    lines = [_line(queue, fills, workers) for queue, fills in by_name.items()]
    used = (line for line in lines if line.waiting or line.in_hand or line.served_by)
    return sorted(used, key=lambda line: (line.lack is None, -line.waiting, -line.in_hand, line.queue))


def lack_of(fill: Fill, workers: Iterable[WorkerEntry]) -> Lack | None:
    """What its jobs have no worker for."""
    if not fill.waiting:
        return None
    return served_by(workers).lack(fill.queue, None if fill.python == ANY_PYTHON else fill.python)


def _line(queue: str, fills: list[Fill], workers: list[WorkerEntry]) -> QueueLine:
    kinds: Counter[str] = Counter()
    for fill in fills:
        kinds[fill.kind] += fill.waiting
    return QueueLine(
        queue=queue,
        waiting=kinds.total(),
        in_hand=sum(fill.in_hand for fill in fills),
        oldest=min((fill.oldest for fill in fills if fill.waiting and fill.oldest is not None), default=None),
        served_by=tuple(sorted(worker.worker for worker in workers if queue in worker.queues)),
        kinds=dict(+kinds),
        lack=next(filter(None, (lack_of(fill, workers) for fill in fills)), None),
    )
