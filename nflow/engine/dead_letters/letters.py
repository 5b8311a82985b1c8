"""Dead letters: jobs that could not be handled, kept with the reason for a person to look at.

A letter is stored before its job leaves the queue, and goes after its job is back there, so that neither way loses one.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from nflow.bus.paging import all_records
from nflow.bus.port import Job, Record
from nflow.core.events import (
    DagFinished,
    Event,
    RunFinished,
    TaskAborted,
    TaskCancelled,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.core.jobs import DagJob, TaskJob
from nflow.core.jobs import Job as Message
from nflow.engine.engine import Engine
from nflow.errors import Conflict, LetterNotFound, MessageError, ReplayRefused, TooLarge
from nflow.wire.messages import pack_message, unpack_events, unpack_job, unpack_message
from nflow.wire.subjects import job_place, name_of

#: The most characters of a reason; it may quote whatever somebody has written.
LONGEST_REASON = 4000

#: How the records of a task that will not run again are told.
_SETTLED: Final[dict[type[Event | None], str]] = {
    TaskSucceeded: "has succeeded",
    TaskFailed: "has failed",
    TaskAborted: "was aborted",
    TaskCancelled: "was cancelled",
    TaskSkipped: "was skipped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A job that could not be handled, where it came from, and why it lies here."""

    subject: str  #: where the job waited
    seq: int  #: its sequence in the stream of jobs
    deliveries: int
    reason: str
    worker: WorkerId  #: who laid it down
    host: str
    payload: bytes
    is_apart: bool = False  #: the payload leaves no room in its letter, and is stored beside it
    id: int = 0  #: the letter's own sequence; it and the time are known once the letter is stored
    at: float = 0.0  #: seconds since the epoch, by the server's clock
    stored: str = ""  #: subject of the letter itself

    @property
    def kind(self) -> str:
        """What the job asks for: workflow, dag or task."""
        return job_place(self.subject).kind

    @property
    def queue(self) -> str:
        """The queue that it waited in."""
        return _named(job_place(self.subject).queue)

    @property
    def python(self) -> str:
        """The Python that it needs: `py311`, or `any`."""
        return _named(job_place(self.subject).python)

    @property
    def run(self) -> RunId:
        """The run that it belongs to."""
        return RunId(_named(job_place(self.subject).run))

    @property
    def dag(self) -> DagId:
        """The dag run that it belongs to; empty for the job of a run."""
        place, job = job_place(self.subject), self.job()
        return DagId(_named(place.dag, job.dag if isinstance(job, DagJob | TaskJob) else None))

    @property
    def task(self) -> TaskId:
        """The task that it is an attempt at; empty for the job of a run or dag run."""
        place, job = job_place(self.subject), self.job()
        return TaskId(_named(place.task, job.task if isinstance(job, TaskJob) else None))

    @property
    def attempt(self) -> int:
        """Which attempt; 0 for the job of a run or dag run."""
        return job_place(self.subject).attempt

    @property
    def what(self) -> str:
        """What the job asks for, in words."""
        if not self.seq:
            return "a job that nobody knows, for its letter cannot be read"
        if not self.run:
            return f"a {self.kind} job of no run" if self.kind else "a job of no run"
        match self.kind:
            case "task":
                return f"task {self.dag}/{self.task} of run {self.run}, attempt {self.attempt}"
            case "dag":
                return f"dag run {self.dag} of run {self.run}"
            case _:
                return f"run {self.run}"

    def job(self) -> Message | None:
        """The job; None if it cannot be read."""
        with suppress(MessageError):
            return unpack_job(self.payload)
        return None


class DeadLetters:
    """All dead letters of a namespace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bus = engine.bus
        self._subjects = engine.subjects

    async def put(self, job: Job, reason: str, *, host: str) -> None:
        """Keep `job`. What was laid down before, by somebody who could not remove the job then, is not kept twice."""
        place = job_place(job.subject)
        subject = self._subjects.dead(place.kind, _named(place.run), job.seq)
        letter = DeadLetter(
            subject=job.subject,
            seq=job.seq,
            deliveries=job.deliveries,
            reason=reason[:LONGEST_REASON],
            worker=self._engine.worker,
            host=host,
            payload=job.payload,
        )
        with suppress(Conflict):
            try:
                await self._bus.append(subject, pack_message(letter), expect=0)
            except TooLarge:
                await self._put_pieces(subject, job.payload)
                await self._bus.append(subject, pack_message(replace(letter, payload=b"", is_apart=True)), expect=0)

    async def all(self, run: RunId | None = None) -> AsyncIterator[DeadLetter]:
        """All letters, or those of a run, the oldest first."""
        async for record in all_records(self._bus, self._subjects.dead_letters(run)):
            yield await self._opened(record)

    async def get(self, id_: int) -> DeadLetter:
        """The letter of that id.

        Raises:
            LetterNotFound: there is none.
        """
        page = await self._bus.read(self._subjects.dead_letters(), after=max(id_ - 1, 0), limit=1)
        if not page.records or page.records[0].seq != id_:
            raise LetterNotFound(f"No dead letter {id_}. Those that there are: nflow dead list")
        return await self._opened(page.records[0])

    async def replay(self, letter: DeadLetter) -> None:
        """Put the job back into its queue, exactly as it was; then the letter goes.

        Raises:
            ReplayRefused: it would do nothing, and the letter stays; the message says why and what would help.
        """
        if (why := await self.futility(letter)) is not None:
            raise ReplayRefused(why)
        if not await self._bus.enqueue(letter.subject, letter.payload):
            there = await self._bus.last(letter.subject)
            if there is None or there.payload != letter.payload:
                raise ReplayRefused(
                    f"Another job for {letter.what} waits in queue '{letter.queue}', or is in a worker's hands. "
                    "Let that end first: nflow status"
                )
        await self.drop(letter)

    async def drop(self, letter: DeadLetter) -> None:
        """Remove a letter and its job for good."""
        await self._bus.purge(letter.stored)
        if letter.is_apart:
            await self._bus.purge(self._subjects.dead_pieces(letter.stored))

    async def futility(self, letter: DeadLetter) -> str | None:
        """Why nobody would do what the job asks for, were it in its queue again; None: a worker would try."""
        if not letter.seq:
            return f"Dead letter {letter.id} cannot be read, and nobody knows which queue its job was in."
        if (ended := await self._end_of_run(letter)) is not None:
            return ended
        match letter.kind:
            case "dag":
                return await self._end_of_dag(letter)
            case "task":
                return await self._end_of_attempt(letter)
        return None

    # --- inside ---

    async def _put_pieces(self, letter: str, payload: bytes) -> None:
        """Store a payload that fills a message in two."""
        half = len(payload) // 2
        for n, piece in enumerate((payload[:half], payload[half:])):
            with suppress(Conflict):
                await self._bus.append(self._subjects.dead_piece(letter, n), piece, expect=0)

    async def _opened(self, record: Record) -> DeadLetter:
        try:
            letter = unpack_message(record.payload, DeadLetter)
        except MessageError as error:  # it must not hide the others
            letter = DeadLetter(
                subject=record.subject,
                seq=0,
                deliveries=0,
                reason=f"The letter itself cannot be read. {error}",
                worker=WorkerId(""),
                host="",
                payload=record.payload,
            )
        letter = replace(letter, id=record.seq, at=record.at, stored=record.subject)
        if letter.is_apart:
            pieces = all_records(self._bus, self._subjects.dead_pieces(record.subject))
            letter = replace(letter, payload=b"".join([piece.payload async for piece in pieces]))
        return letter

    async def _end_of_run(self, letter: DeadLetter) -> str | None:
        last = await self._last_event(self._subjects.own(letter.run))
        entry = await self._engine.index.get(letter.run)
        if not isinstance(last, RunFinished) or (entry is not None and entry.is_active):
            return None  # a run that was begun again is active in the index, before it says so in its log
        return (
            f"Run {letter.run} has ended ({last.status.value}), and nobody takes up a job of it. "
            f"To run again what failed in it: nflow retry {letter.run}"
        )

    async def _end_of_dag(self, letter: DeadLetter) -> str | None:
        finished = await self._last_event(self._subjects.dag_finished(letter.run, letter.dag))
        if not isinstance(finished, DagFinished):
            return None
        return (
            f"Dag run {letter.dag} of run {letter.run} has ended ({finished.status.value}). To run again what failed "
            f"in it, once the run has ended: nflow retry {letter.run}"
        )

    async def _end_of_attempt(self, letter: DeadLetter) -> str | None:
        last = await self._last_event(self._subjects.task(letter.run, letter.dag, letter.task))
        attempt = getattr(last, "attempt", letter.attempt)
        how = "is tried again" if isinstance(last, TaskStarted) else _SETTLED.get(type(last))
        if how is None or attempt < letter.attempt or (attempt == letter.attempt and isinstance(last, TaskStarted)):
            return None
        return (
            f"Task {letter.dag}/{letter.task} of run {letter.run} {how} (attempt {attempt}), and nobody takes up this "
            f"attempt any more. To run again what failed, once the run has ended: nflow retry {letter.run}"
        )

    async def _last_event(self, subject: str) -> Event | None:
        record = await self._bus.last(subject)
        with suppress(MessageError):
            return None if record is None else unpack_events(record.payload)[-1]
        return None


def _named(token: str, known: str | None = None) -> str:
    """The name that a token stands for; of a name too long for a subject what is `known` of it, or the token."""
    name = name_of(token) if token else ""
    return name if name is not None else known or token
