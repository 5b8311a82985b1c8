"""Stops reach running tasks: heard at once by every worker, and looked up once per lease period in case one was not."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from nflow.bus.port import Record
from nflow.core.events import StopRequested
from nflow.core.ids import DagId, RunId
from nflow.engine.engine import Engine
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import log_of

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
        self._watch = engine.bus.watch(engine.subjects.stops(), self._on_record)
        engine.reconciler.add(self.check)

    def of(self, log: str) -> StopRequested | None:
        """The stop of a dag run, by its log's subject."""
        return self._known.get(log)

    async def check(self) -> int:
        """Look up the stops of all dag runs that have a task here."""
        subjects = [self._engine.subjects.stop(run, dag) for run, dag in set(self._running())]
        if not subjects:
            return 0
        return sum(self._on_record(record) for record in await self._engine.bus.last_of_each(subjects))

    def close(self) -> None:
        """Listen no more."""
        self._engine.reconciler.discard(self.check)
        self._watch.close()

    def _on_record(self, record: Record) -> bool:
        log = log_of(record.subject)
        if log in self._known:
            return False
        [stop] = unpack_events(record.payload)
        assert isinstance(stop, StopRequested)
        self._known[log] = stop
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        self._on_stop(log)
        return True
