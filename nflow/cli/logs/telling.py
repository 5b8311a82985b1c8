"""Events from the server to stdout, in words: those that there are, or those that come."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from nflow.bus.port import Record
from nflow.cli.console.text import visible
from nflow.cli.console.times import duration, moment
from nflow.cli.edge import say_error
from nflow.cli.logs.showing import Output, Part, Row
from nflow.cli.logs.stamps import date_of, stamp
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.log import events_of
from nflow.engine.reading import Reading
from nflow.errors import MessageError
from nflow.view.words import Told, rest, style, told, where

_STYLES = {"started": "blue", "succeeded": "green", "failed": "red", "stopped": "yellow"}
_WHAT_COLUMNS = len("stop asked for")

#: Records that are read at once.
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks to see."""

    run: str | None
    follow: bool
    details: bool
    since: str | None
    utc: bool
    as_json: bool


class _Names:
    """Which workflow a run is of, where its events do not tell."""

    def __init__(self, engine: Engine) -> None:
        self._index = engine.index
        self._known: dict[str, str] = {}

    async def look(self) -> None:
        """Learn all that are known: one look, and not one for each of thousands."""
        self._known |= {entry.run: entry.workflow for entry in await self._index.all()}

    async def of(self, words: Told) -> str:
        """The name of the workflow."""
        if words.workflow:
            self._known[words.run] = words.workflow
        elif words.run not in self._known:
            entry = await self._index.get(RunId(words.run))
            self._known[words.run] = entry.workflow if entry else "?"
        return self._known[words.run]


async def tell_events(engine: Engine, asked: Asked) -> None:
    """Write events to stdout."""
    run = None if asked.run is None else (await engine.index.find(asked.run)).run
    subject = engine.subjects.all_events() if run is None else engine.subjects.run_events(run)
    now = await engine.bus.server_time()
    after = await _begin(engine, subject, asked, now)
    names = _Names(engine)
    if run is None and (not asked.follow or asked.since is not None):
        await names.look()
    today = date_of(now, utc=asked.utc)
    output = Output()
    try:
        async with Reading(engine, subject, after=after, page=_PAGE) as reading:
            if not asked.follow:
                reading.finish()
            count = 0
            async for page in reading.pages():
                words = [
                    replace(each, workflow=await names.of(each))
                    for each in _told(page)
                    if asked.details or asked.as_json or not each.is_detail
                ]
                count += len(words)
                if asked.as_json:
                    await output.texts(json.dumps(_plain(each)) for each in words)
                else:
                    await output.rows(_row(each, today=today, utc=asked.utc, details=asked.details) for each in words)
    finally:
        output.close()
    if not count and not asked.as_json:
        say_error("No events yet." if asked.since is None else "No events since then.")


async def _begin(engine: Engine, subject: str, asked: Asked, now: float) -> int:
    """The sequence behind which to begin."""
    if asked.since is not None:
        return await engine.bus.newest(subject, before=moment(asked.since, now))
    return await engine.bus.newest(subject) if asked.follow else 0


def _told(records: list[Record]) -> Iterator[Told]:
    for record in records:
        try:
            for event in events_of(record):
                yield told(event, record)
        except MessageError as error:  # damaged, or of a newer nflow: what is missing here is told
            run = record.subject.split(".")[2]
            yield Told(at=record.at, seq=record.seq, run=run, kind="run", what="unreadable", why=str(error))


def _plain(words: Told) -> dict[str, object]:
    return {name: value for name, value in asdict(words).items() if name != "is_detail"}


def _row(words: Told, *, today: str, utc: bool, details: bool) -> Row:
    row = [
        Part(f"{stamp(words.at, today, utc=utc)} ", "dim"),
        Part(f"{visible(words.run)} "),
        Part(visible(f"{words.workflow} {where(words)}").rstrip() + " ", "cyan"),
        Part(visible(words.what), _STYLES.get(style(words), "")),
    ]
    if follows := rest(words, details=details):
        row.append(Part(visible(follows)))
    if details and (more := ", ".join(_details(words))):
        row.append(Part(f"  [{visible(more)}]", "dim"))
    return row


def _details(words: Told) -> Iterator[str]:
    if words.host:
        yield f"on {words.host}" + (f", pid {words.pid}" if words.pid else "")
    if words.execution > 1:
        yield f"execution {words.execution}"
    if words.seconds is not None:
        yield f"took {duration(words.seconds, digits=3)}"
    if words.more:
        yield words.more
