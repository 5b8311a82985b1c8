"""One watch for each run that a task of this worker has asked something of, however many tasks ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.worker.runwatch import RunWatch

#: Watches that nobody uses are kept for the next call, up to this many.
MOST_IDLE = 64


class RunWatches:
    """The watches of a worker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watches: dict[RunId, RunWatch] = {}

    @asynccontextmanager
    async def of(self, run: RunId) -> AsyncIterator[RunWatch]:
        """The watch of `run`, up to date."""
        watch = self._watches.pop(run, None)
        if watch is None or (watch.is_useless and not watch.users):  # a run that is over may have been retried
            watch = self._anew(watch, run)
        self._watches[run] = watch  # the last used stands last
        watch.users += 1
        try:
            await watch.ready()
            yield watch
        finally:
            watch.users -= 1
            if not watch.users:
                self._trim()

    def close(self) -> None:
        """Watch nothing more."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()

    def _anew(self, earlier: RunWatch | None, run: RunId) -> RunWatch:
        if earlier is not None:
            earlier.close()
        return RunWatch(self._engine, run)

    def _trim(self) -> None:
        idle = [run for run, watch in self._watches.items() if not watch.users]
        superfluous = idle[: max(0, len(idle) - MOST_IDLE)]
        for run in {*superfluous, *(run for run in idle if self._watches[run].is_useless)}:
            self._watches.pop(run).close()
