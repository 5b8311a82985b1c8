"""Lines of a run from the server to stdout: all that are there, or on until the run has ended."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nflow.cli.console.text import seen, visible
from nflow.cli.console.times import moment
from nflow.cli.edge import say_error
from nflow.cli.logs.showing import Output, Part, Row
from nflow.cli.logs.stamps import date_of, stamp
from nflow.cli.logs.which import selection, tasks_of
from nflow.core.events import RunFinished, RunRetried
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.lines import Lines, TaskLines
from nflow.engine.log import readable
from nflow.engine.reading import Reading
from nflow.errors import UsageError
from nflow.wire.lines import Line

_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "err": "yellow"}
_KIND_COLUMNS = 7

#: Records of a run's own log that are read at once: all of them, mostly, so that an end that a retry undid is none.
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asks to see."""

    run: str
    task: str | None
    follow: bool
    attempt: int | None
    level: int | None
    since: str | None
    utc: bool
    form: Literal["text", "json", "raw"]

    @property
    def is_choosy(self) -> bool:
        """Whether not all lines are asked for."""
        return any(each is not None for each in (self.task, self.attempt, self.level, self.since))

    def has(self, line: Line) -> bool:
        """Whether a line of a task that is meant is to be shown. Printed lines have no level."""
        if self.form == "raw":
            return line.stream != "log"
        return self.level is None or (line.stream == "log" and _level_of(line.level) >= self.level)


async def show_lines(engine: Engine, wanted: Wanted) -> None:
    """Write the lines of a run to stdout."""
    entry = await engine.index.find(wanted.run)
    only = selection(wanted.task, await tasks_of(engine, entry.run), attempt=wanted.attempt)
    now, after = await engine.bus.server_time(), 0
    if wanted.since is not None:
        subject = engine.subjects.lines_of(entry.run)
        after = await engine.bus.newest(subject, before=moment(wanted.since, now))
    today = date_of(now, utc=wanted.utc)
    output = Output()
    try:
        async with Lines(engine, entry.run, only, after) as lines:
            ending = asyncio.ensure_future(_finish(engine, entry.run, lines, wanted))
            try:
                count = 0
                async for page in lines.pages():
                    count += await _show(output, wanted, today, page)
            finally:
                ending.cancel()
    finally:
        output.close()
    if not count and wanted.form == "text":
        told = "has lines of that kind" if wanted.is_choosy else "has written anything yet"
        say_error(f"No task of run {entry.run} ({entry.workflow}) {told}.")


def threshold(level: str) -> int:
    """The number of a level of Python's logging. Raises UsageError."""
    known = logging.getLevelNamesMapping()
    if level.upper() not in known:
        raise UsageError(f"'{level}' is no level. There are: DEBUG, INFO, WARNING, ERROR, CRITICAL.")
    return known[level.upper()]


async def _finish(engine: Engine, run: RunId, lines: Lines, wanted: Wanted) -> None:
    """Let the lines end: now, or when the run has."""
    if wanted.follow:
        await _ended(engine, run)
    lines.finish()


async def _ended(engine: Engine, run: RunId) -> None:
    async with Reading(engine, engine.subjects.own(run), page=_PAGE) as reading:
        async for page in reading.pages():
            over = False
            for event in (event for record in page for event in readable(record)):
                over = isinstance(event, RunFinished) or (over and not isinstance(event, RunRetried))
            if over:
                return


async def _show(output: Output, wanted: Wanted, today: str, page: list[TaskLines]) -> int:
    """Write the lines that are wanted; how many."""
    shown = [(passage, line) for passage in page for line in passage.lines if wanted.has(line)]
    match wanted.form:
        case "raw":
            await output.raw(b"".join(line.raw for _, line in shown))
        case "json":
            await output.texts(_json(passage, line) for passage, line in shown)
        case "text":
            await output.rows(row for each in shown for row in _rows(*each, today=today, utc=wanted.utc))
    return len(shown)


def _json(passage: TaskLines, line: Line) -> str:
    """Exactly what was written: what JSON cannot hold as it is, such as bytes that are no UTF-8, is escaped."""
    about = {"at": line.at, "dag": passage.dag, "task": passage.task, "attempt": passage.attempt}
    what = {"stream": line.stream, "level": line.level, "logger": line.logger, "text": line.text, "end": line.end}
    return json.dumps({**about, **what})


def _rows(passage: TaskLines, line: Line, *, today: str, utc: bool) -> Iterator[Row]:
    """Each line of a text has its own beginning, so that what is searched for is found with its place."""
    place = visible(f"{passage.dag}/{passage.task}") + (f" ({passage.attempt})" if passage.attempt > 1 else "")
    kind = line.level if line.stream == "log" else line.stream
    head = (
        Part(f"{stamp(line.at, today, utc=utc)} ", "dim"),
        Part(f"{place} ", "cyan"),
        Part(f"{visible(kind):<{_KIND_COLUMNS}} ", _STYLES.get(kind, "dim")),
    )
    text = f"{line.logger}: {line.text}" if line.stream == "log" else line.text
    style = _STYLES.get(kind, "") if line.stream == "log" else ""
    for each in text.split("\n"):
        yield (*head, Part(seen(each), style))


def _level_of(name: str) -> int:
    """The number of a level; one of a user's own, which has none here, is above all."""
    return logging.getLevelNamesMapping().get(name, logging.CRITICAL + 1)
