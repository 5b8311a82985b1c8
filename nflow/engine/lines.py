"""What the tasks of a run print and log: read back, and followed while it is written."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from nflow.bus.port import Record
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.reading import Reading
from nflow.errors import MessageError
from nflow.wire.lines import Line, Passage, unpack_passage
from nflow.wire.subjects import line_place

#: Executions that are remembered, to know what a worker has sent twice over an outage, and what is missing.
REMEMBERED = 1 << 14

#: The most passages of one execution that are waited for after others; so many have long been given up.
_MOST_MISSING = 1000

_GONE = "what came before is gone: the logs of all runs have reached their limit of size or age"
_LOST = "something is missing here: the server was away for too long, or has refused it"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLines:
    """What one attempt at a task wrote in one go."""

    seq: int  #: where it stands among all lines of all runs
    dag: str
    task: str
    attempt: int
    lines: list[Line]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which tasks of a run are meant."""

    dag: str | None = None  #: a dag run, `sub_dag:2`, or a dag, `sub_dag`, for all of its runs
    task: str | None = None
    attempt: int | None = None

    def has(self, lines: TaskLines) -> bool:
        """Whether these lines are among what is meant."""
        return (
            self.dag in (None, lines.dag, lines.dag.rpartition(":")[0])
            and self.task in (None, lines.task)
            and self.attempt in (None, lines.attempt)
        )


@dataclass(slots=True)
class Lines:
    """The lines of a run, each of them once, in the order in which they were stored.

    ```python
    async with Lines(engine, run) as lines:
        lines.finish()  # else it goes on for as long as somebody may write
        async for passage in lines:
            ...
    ```
    """

    engine: Engine
    run: RunId
    only: Selection = field(default_factory=Selection)
    after: int = 0  #: the sequence behind which to begin
    _reading: Reading = field(init=False)
    _heard: "OrderedDict[str, _Heard]" = field(init=False, default_factory=OrderedDict)

    def __post_init__(self) -> None:
        subject = self.engine.subjects.lines_like(self.run, self.only.dag, self.only.task)
        self._reading = Reading(self.engine, subject, after=self.after)

    async def __aenter__(self) -> "Lines":
        await self._reading.__aenter__()
        return self

    async def __aexit__(self, *told: object) -> None:
        await self._reading.__aexit__(*told)

    def finish(self) -> None:
        """Let the iteration end with what is written by now."""
        self._reading.finish()

    async def __aiter__(self) -> AsyncIterator[TaskLines]:
        async for page in self.pages():
            for lines in page:
                yield lines

    async def pages(self) -> AsyncIterator[list[TaskLines]]:
        """What was read at once, again and again."""
        async for records in self._reading.pages():
            if page := [lines for lines in map(self._opened, records) if lines is not None]:
                yield page

    def _opened(self, record: Record) -> TaskLines | None:
        """The lines of a record; None if they are not wanted, or have been there before."""
        passage = _passage(record)
        heard = self._heard_of(passage)
        if not heard.is_new(passage.number):
            return None
        dag, task = line_place(record.subject)
        task = self.only.task or task  # the subject that was asked for names it, if only by a digest
        dag = self.only.dag if self.only.dag and ":" in self.only.dag else dag
        lines = [*heard.missing_before(passage.number, record.at), *passage.lines]
        found = TaskLines(seq=record.seq, dag=dag, task=task, attempt=passage.attempt, lines=lines)
        return found if self.only.has(found) else None

    def _heard_of(self, passage: Passage) -> "_Heard":
        """What was heard of an execution; of one that is not known, from wherever this reading has begun."""
        if passage.sender not in self._heard:
            self._heard[passage.sender] = _Heard(None if self.after or not passage.number else 0)
            if len(self._heard) > REMEMBERED:
                self._heard.popitem(last=False)
        return self._heard[passage.sender]


class _Heard:
    """What was read of one execution so far."""

    def __init__(self, last: int | None) -> None:
        self._last = last  #: None: where it begins is not known
        self._missing: set[int] = set()  #: what may still come, though later ones are there

    def is_new(self, number: int) -> bool:
        """Whether it has not been there yet. What has no number, is."""
        return not number or self._last is None or number > self._last or number in self._missing

    def missing_before(self, number: int, at: float) -> list[Line]:
        """Take it in; a word of what is missing between it and the last one."""
        last = self._last
        if not number:
            return []
        if last is None or number == last + 1:
            self._last = number
            return []
        if number <= last:
            self._missing.discard(number)
            return []
        self._last = number
        self._missing |= set(range(max(last + 1, number - _MOST_MISSING), number))
        text = _LOST if last else _GONE
        return [Line(at=at, stream="log", text=text, level="WARNING", logger="nflow")]


async def last_line(engine: Engine, run: RunId) -> int:
    """Where the lines of a run end by now, without reading them: each look leaps over as many as are still to come."""
    at, pending = 0, 1
    while pending:
        page = await engine.bus.read(engine.subjects.lines_of(run), after=at + pending - 1, limit=1)
        if not page.records:
            return at
        at, pending = page.records[-1].seq, page.pending
    return at


def _passage(record: Record) -> Passage:
    try:
        return unpack_passage(record.payload)
    except MessageError as error:
        line = Line(at=record.at, stream="log", text=str(error), level="ERROR", logger="nflow")
        return Passage(attempt=0, lines=[line])
