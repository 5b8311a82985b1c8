"""Stops reach running tasks: heard at once by every worker, and looked up once per lease period in case one was not."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

from nflow.bus.port import Record
from nflow.core.events import StopRequested
from nflow.core.ids import DagId, RunId
from nflow.engine.engine import Engine
from nflow.errors import MessageError
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import log_of

_log = logging.getLogger(__name__)

#: Stops of dag runs without a task here are remembered too: one may be claimed in the same moment.
MOST_REMEMBERED = 4096

Place = tuple[RunId, DagId]


class Stops:
    """Which dag runs are to stop."""

    def __init__(self, engine: Engine, running: Callable[[], Iterable[Place]], on_stop: Callable[[str], None]) -> None:
        self._engine = engine
        self._running = running
        self._on_stop = on_stop
        self._known: OrderedDict[str, StopRequested] = OrderedDict()
        self._watch = engine.bus.watch(engine.subjects.stops(), self._on_push)
        engine.reconciler.add(self.check)

    def of(self, log: str, opening: int = 0) -> StopRequested | None:
        """The stop of a dag run, by its log's subject; one from before it was reopened does not count any more."""
        stop = self._known.get(log)
        return stop if stop is not None and stop.opening >= opening else None

    async def check(self) -> int:
        """Look up the stops of all dag runs that have a task here."""
        subjects = [self._engine.subjects.stop(run, dag) for run, dag in dict.fromkeys(self._running())]
        if not subjects:
            return 0
        return sum(self._take(record) for record in await self._engine.bus.last_of_each(subjects))

    def close(self) -> None:
        """Listen no more."""
        self._engine.reconciler.discard(self.check)
        self._watch.close()

    def _on_push(self, record: Record) -> None:
        self._take(record)

    def _take(self, record: Record) -> bool:
        """Take down a stop; whether it says anything new."""
        log = log_of(record.subject)
        stop = _stop_in(record)
        if stop is None or not _goes_further(stop, self._known.get(log)):
            return False
        self._known[log] = stop
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        self._on_stop(log)
        return True


def _stop_in(record: Record) -> StopRequested | None:
    try:
        [stop] = unpack_events(record.payload)
    except (MessageError, ValueError) as error:  # it is for the dag's driver to make something of it
        _log.warning("%s: %s", record.subject, error)
        return None
    return stop if isinstance(stop, StopRequested) else None


def _goes_further(stop: StopRequested, known: StopRequested | None) -> bool:
    """Whether it is the first, or gives running tasks less time than the one before: people lose their patience."""
    if known is None:
        return True
    if stop.opening != known.opening:
        return stop.opening > known.opening
    return stop.grace is not None and (known.grace is None or stop.grace < known.grace)
