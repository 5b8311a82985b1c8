"""The history, brought up to date with the server if that is there; how far it goes, if not."""

import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nflow.cli.console.times import when
from nflow.cli.edge import say_error
from nflow.errors import BlobLost, BusError, HistoryUnavailable, NflowError, ServerError

if TYPE_CHECKING:
    from nflow.config import Settings
    from nflow.engine.engine import Engine
    from nflow.engine.runs import RunEntry
    from nflow.history.database import Database
    from nflow.history.questions import Questions, RunLine
    from nflow.view.detail import Retries

    Waiting = dict[str, RunLine]

#: Seconds after which a person is told that there is a lot to read.
_LONG = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The history, for questions, and what the index of runs has beside it."""

    database: "Database"
    questions: "Questions"
    namespace: str
    waiting: "Waiting"  #: runs that wait for a driver, to begin or to go on: what no log tells yet
    lacks: "Mapping[str, str]"  #: what runs wait for that go on: workers that are not there
    now: float

    def lines(self, found: "Iterable[RunLine]") -> "list[RunLine]":
        """Runs that were found, and those that wait, as they are now; the newest first."""
        known = {line.run: replace(line, reason=self.lacks.get(line.run, line.reason)) for line in found}
        for run, line in self.waiting.items():
            there = known.get(run)
            if there is not None and there.started is not None:
                known[run] = replace(there, state=line.state, reason=line.reason, ended=None)
            else:
                known[run] = line
        return sorted(known.values(), key=lambda line: line.run, reverse=True)

    def find(self, text: str) -> str:
        """The run whose id begins with `text`, or the last one for `@last`. Raises RunNotFound."""
        from nflow.engine.runs import not_meant  # noqa: PLC0415 - see below

        begun = self.questions.find(text)
        if text == "@last":
            found = sorted([*begun, *self.waiting])[-1:]
        else:
            found = sorted({*begun, *(run for run in self.waiting if run.startswith(text))})
        exact = [run for run in found if run == text]
        if len(exact or found) == 1:
            return (exact or found)[0]
        raise not_meant(text, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moving:
    """What there is of runs that go on beside their logs."""

    waiting: "Waiting" = field(default_factory=dict)
    lacks: "Mapping[str, str]" = field(default_factory=dict)


@asynccontextmanager
async def asking(settings: "Settings", *, anew: bool = False) -> "AsyncIterator[Asked]":
    """The history of the configured server's runs.

    Args:
        settings: Where server and history are.
        anew: Read all that the log has once more; without a server that cannot be done.

    Raises:
        HistoryUnavailable: its database cannot be used.
    """
    from nflow.history.questions import Questions  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second
    from nflow.session import history_of  # noqa: PLC0415

    database = history_of(settings)
    try:
        namespace = settings.server.namespace
        moving, now = await _caught_up(settings, database, anew=anew)
        yield Asked(
            database=database,
            questions=Questions(database, namespace),
            namespace=namespace,
            waiting=moving.waiting,
            lacks=moving.lacks,
            now=now,
        )
    finally:
        database.close()


async def _caught_up(settings: "Settings", database: "Database", *, anew: bool) -> "tuple[_Moving, float]":
    """What there is of runs that go on beside their logs, and the server's time."""
    from nflow.history.catchup import CatchUp  # noqa: PLC0415 - see above
    from nflow.session import open_engine  # noqa: PLC0415

    try:
        async with open_engine(settings) as engine:
            with _Telling() as telling:
                catch_up = CatchUp(database, engine.bus, lambda spec: _retries(engine, spec), on_progress=telling.tell)
                done = await (catch_up.rebuild() if anew else catch_up.run())
            for remark in done.remarks:
                say_error(remark)
            return await _moving(engine, database), await engine.bus.server_time()
    except HistoryUnavailable:
        raise
    except (ServerError, BusError, TimeoutError) as error:
        from nflow.history.catchup import newest_of  # noqa: PLC0415 - see above

        known = newest_of(database, settings.server.namespace)
        if anew or known is None:
            raise
        _say_how_far(known, error)
        return _Moving(), time.time()


async def _retries(engine: "Engine", spec: str) -> "Retries":
    from nflow.view.detail import retries_of  # noqa: PLC0415 - see above

    try:
        return retries_of(await engine.specs.get(spec))
    except BlobLost:  # of old runs: that an attempt was not the last one shows by the next
        return {}


async def _moving(engine: "Engine", database: "Database") -> "_Moving":
    from nflow.cli.queues.waiting import explained  # noqa: PLC0415 - see above
    from nflow.engine.standing import active  # noqa: PLC0415
    from nflow.history.questions import Questions  # noqa: PLC0415

    logged = await active(engine)
    entries = await explained(engine, logged)
    begun = Questions(database, engine.bus.namespace).begun(entry.run for entry in entries)
    waiting = {str(entry.run): _line(entry) for entry in entries if entry.run not in begun or entry.state == "waiting"}
    told = {
        str(entry.run): entry.reason
        for entry, before in zip(entries, logged, strict=True)
        if entry.reason != before.reason and entry.run not in waiting
    }
    return _Moving(waiting=waiting, lacks=told)


def _line(entry: "RunEntry") -> "RunLine":
    from nflow.history.questions import RunLine  # noqa: PLC0415 - see above

    return RunLine(
        run=entry.run,
        workflow=entry.workflow,
        state=entry.state,
        queue=entry.queue,
        submitted=entry.submitted,
        started=entry.started,
        reason=entry.reason,
    )


def _say_how_far(known: float, error: Exception) -> None:
    reason = str(error) if isinstance(error, NflowError) else "The server does not answer."
    say_error(f"{reason}\nWithout the server, the history tells what happened until {when(known, time.time())}.")


class _Telling:
    """Tells a person at a terminal how far a long catch-up is."""

    def __init__(self) -> None:
        self._is_seen = sys.stderr.isatty()
        self._began = time.monotonic()
        self._told = False

    def __enter__(self) -> "_Telling":
        return self

    def __exit__(self, *_: object) -> None:
        if self._told:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def tell(self, done: int, total: int) -> None:
        """So many records of about so many are in."""
        if self._is_seen and time.monotonic() - self._began > _LONG:
            self._told = True
            sys.stderr.write(f"\r\x1b[KBringing the history up to date: {100 * done // max(total, 1)} %")
            sys.stderr.flush()
