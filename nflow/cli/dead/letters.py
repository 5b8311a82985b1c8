"""Dead letters as a person chooses them and looks at them."""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from nflow.cli.console.table import print_table
from nflow.cli.console.times import when
from nflow.cli.console.values import Plain
from nflow.core.ids import RunId
from nflow.engine.dead_letters.letters import DeadLetter, DeadLetters
from nflow.engine.engine import Engine
from nflow.engine.runs import LAST
from nflow.errors import MessageError, RunNotFound, UsageError
from nflow.wire.messages import unpack_job

#: Bytes that are shown of a job that cannot be read.
_FEW_BYTES = 256
_BYTES_IN_ROW = 16


class Letters(DeadLetters):
    """All dead letters, and those that a command line means."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._index = engine.index

    async def of(self, run: str | None) -> list[DeadLetter]:
        """All letters, or those of the run whose id begins so.

        Raises:
            RunNotFound: there is no such run, or there are several.
        """
        if run is None:
            return [letter async for letter in self.all()]
        whose = await self._run_of(run)
        return [letter async for letter in self.all(whose)]

    async def chosen(self, ids: Sequence[int] | None, run: str | None, *, every: bool) -> list[DeadLetter]:
        """The letters that a command is to work on.

        Raises:
            UsageError: they are not named in exactly one way.
            LetterNotFound: one of them is not there.
        """
        if (bool(ids), run is not None, every).count(True) != 1:
            raise UsageError("Say which dead letters: their ids, or --run RUN, or --all. To list them: nflow dead list")
        return [await self.get(id_) for id_ in dict.fromkeys(ids)] if ids else await self.of(run)

    async def _run_of(self, text: str) -> RunId:
        """The run whose id begins so: of those with letters, for it may be known no more, else of all."""
        runs = {letter.run async for letter in self.all()}
        begin_so = sorted(run for run in runs if run.startswith(text)) if text != LAST else []
        if text in begin_so or len(begin_so) == 1:
            return RunId(text) if text in begin_so else begin_so[0]
        if begin_so:
            raise RunNotFound(f"{len(begin_so)} runs with dead letters begin with '{text}'. Give more of the id.")
        return (await self._index.find(text)).run


def print_letters(letters: Sequence[DeadLetter]) -> None:
    """A table of letters."""
    now = time.time()
    rows = [
        (str(letter.id), when(letter.at, now), _in_line(letter.what), _in_line(letter.reason)) for letter in letters
    ]
    print_table(("id", "when", "what", "reason"), rows)


def as_row(letter: DeadLetter) -> dict[str, Any]:
    """A letter for programs, without its job."""
    return {
        "id": letter.id,
        "at": letter.at,
        "kind": letter.kind,
        "run": letter.run,
        "dag": letter.dag,
        "task": letter.task,
        "attempt": letter.attempt,
        "queue": letter.queue,
        "python": letter.python,
        "reason": letter.reason,
        "worker": letter.worker,
        "host": letter.host,
        "subject": letter.subject,
        "seq": letter.seq,
        "deliveries": letter.deliveries,
        "size_bytes": len(letter.payload),
    }


def as_document(letter: DeadLetter, futility: str | None) -> dict[str, Any]:
    """All of a letter for programs; its bytes in base64."""
    job, problem = _job(letter)
    return as_row(letter) | {
        "futility": futility,
        "job": job,
        "problem": problem,
        "payload": base64.b64encode(letter.payload).decode(),
    }


def told(letter: DeadLetter, futility: str | None) -> str:
    """All of a letter for a person."""
    return "\n".join(_lines(letter, futility))


def _lines(letter: DeadLetter, futility: str | None) -> Iterator[str]:
    yield _in_line(f"Dead letter {letter.id}: {letter.what}")
    yield f"reason   {_in_line(letter.reason)}"
    yield f"laid     {when(letter.at, time.time())} by {letter.worker} on {letter.host}"
    yield f"queue    {_in_line(letter.queue)} ({letter.kind} jobs, Python: {letter.python})"
    times = "once" if letter.deliveries == 1 else f"{letter.deliveries} times"
    yield f"origin   {letter.subject}, sequence {letter.seq}, delivered {times}"
    yield f"replay   {futility or f'puts it back into its queue: nflow dead replay {letter.id}'}"
    job, problem = _job(letter)
    if job is None:
        yield f"job      {len(letter.payload)} bytes. {problem}"
        yield from _dump(letter.payload)
    else:
        yield f"job      {len(letter.payload)} bytes, a {job.pop('kind')}"
        for name, value in job.items():
            yield " " * 9 + _in_line(f"{name} = {value}")


def _in_line(text: str) -> str:
    """A text as it can be shown in one line: what moves the cursor of a terminal is told by its code."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in " ".join(text.split()))


def _job(letter: DeadLetter) -> tuple[dict[str, Any] | None, str | None]:
    """The fields of the job in words of JSON, or why they cannot be told."""
    try:
        job = unpack_job(letter.payload)
    except MessageError as error:
        return None, str(error)
    return {"kind": type(job).__name__, **Plain().of(asdict(job), "job")}, None


def _dump(payload: bytes) -> Iterator[str]:
    """The first bytes, as other programs show them: where, in hexadecimal, and as text."""
    for start in range(0, min(len(payload), _FEW_BYTES), _BYTES_IN_ROW):
        row = payload[start : start + _BYTES_IN_ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"         {start:04x}  {row.hex(' '):<{3 * _BYTES_IN_ROW}} {text}"
    if len(payload) > _FEW_BYTES:
        yield "         and more: add --raw"
