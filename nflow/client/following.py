"""Runs followed page by page: what happens in them, and what their tasks write."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from nflow.core.events import RunFinished
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.lines import Lines, Selection
from nflow.engine.log import readable
from nflow.engine.reading import Reading
from nflow.engine.runs import RunEntry
from nflow.runs import Runs
from nflow.view.words import Told, told

#: Records that are read at once: few enough that a page is there soon, enough that a round trip is no matter.
PAGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line that a task printed or logged. `at` is seconds since the epoch, by the clock of its worker."""

    at: float
    dag: str
    task: str
    attempt: int
    stream: str  #: `out`, `err` or `log`
    text: str
    level: str = ""  #: of what was logged
    logger: str = ""
    seq: int = 0  #: lines that were written in one go share it: iterating `after` it goes on behind them


async def events_of_all(engine: Engine, *, after: int | None, follow: bool) -> AsyncIterator[list[Told]]:
    """What happens in all runs, from now on unless there is an `after`."""
    subject = engine.subjects.all_events()
    begin = await engine.bus.newest(subject) if after is None else after
    async with Reading(engine, subject, after=begin, page=PAGE) as reading:
        if not follow:
            reading.finish()
        async for records in reading.pages():
            if page := [told(event, record) for record in records for event in readable(record)]:
                yield page


async def events_of_run(engine: Engine, entry: RunEntry, *, after: int, follow: bool) -> AsyncIterator[list[Told]]:
    """What has happened in a run, and does until its end."""
    opening = await Runs(engine).opening_of(entry)
    async with Reading(engine, engine.subjects.run_events(entry.run), after=after, page=PAGE) as reading:
        if not follow or await _has_ended(engine, entry.run, opening):
            reading.finish()
        async for records in reading.pages():
            page = []
            for record in records:
                for event in readable(record):
                    page.append(told(event, record))
                    if isinstance(event, RunFinished) and event.opening >= opening:
                        reading.finish()
            if page:
                yield page


async def lines_of(
    engine: Engine, entry: RunEntry, only: Selection, *, after: int, follow: bool
) -> AsyncIterator[list[LogLine]]:
    """What tasks of a run have written, and do until its end."""
    runs = Runs(engine)
    opening = await runs.opening_of(entry)

    async def finish_at_the_end(lines: Lines) -> None:
        await runs.wait(entry.run, opening=opening)
        lines.finish()

    async with Lines(engine, entry.run, only, after) as lines:
        ending = asyncio.ensure_future(finish_at_the_end(lines)) if follow else None
        if ending is None:
            lines.finish()
        try:
            async for page in lines.pages():
                yield [
                    LogLine(
                        at=line.at,
                        dag=each.dag,
                        task=each.task,
                        attempt=each.attempt,
                        stream=line.stream,
                        text=line.text,
                        level=line.level,
                        logger=line.logger,
                        seq=each.seq,
                    )
                    for each in page
                    for line in each.lines
                ]
        finally:
            if ending is not None:
                ending.cancel()


async def _has_ended(engine: Engine, run: RunId, opening: int) -> bool:
    last = await engine.bus.last(engine.subjects.own(run))
    return last is not None and any(
        isinstance(event, RunFinished) and event.opening >= opening for event in readable(last)[-1:]
    )
