"""Claiming an attempt before its code runs, so that one execution's outcome, and only one, can be recorded.

A claim is checked against the last event of the task, and the outcome against the claim. Whoever lost the race finds
out by a refused write, however late it comes.
"""

import asyncio
import logging
from dataclasses import dataclass

from nflow.bus.port import LEASE, Job, Record
from nflow.core.events import (
    Event,
    Provenance,
    RemoteError,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from nflow.core.jobs import TaskJob
from nflow.engine.dead_letters.letters import DeadLetters
from nflow.engine.engine import Engine
from nflow.engine.holdings import Verdict
from nflow.engine.log import events_of
from nflow.errors import BusError, Conflict, LogDamaged, StorageFull
from nflow.wire.messages import pack_events

_log = logging.getLogger(__name__)

#: Seconds between tries to record an outcome on a full server.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0

#: A claim that took so long may have a successor by now.
LATE = LEASE / 2

#: An attempt that took this many workers along is failed, so that it does not walk through the whole site.
LOST_EXECUTIONS = 3

#: Errors of code that a worker cannot fetch or a slot cannot open; values that tasks read have them too.
_UNREADABLE = frozenset({"BlobLost", "BrokenMessage", "MissingModule"})


@dataclass(slots=True)
class Claim:
    """This worker's right to run one execution of an attempt and to record its outcome."""

    engine: Engine
    job: Job
    task: TaskJob
    subject: str
    seq: int
    execution: int
    lost: int
    host: str

    async def settle(self, outcome: TaskEvent | bytes) -> bool:
        """Record the outcome, which a slot has packed already; False if a successor has claimed the attempt meanwhile.

        Raises:
            TooLarge: it does not fit into a message; a shorter one may follow.
        """
        try:
            await self._store(outcome if isinstance(outcome, bytes) else pack_events([outcome]))
        except Conflict:
            self.drop()
            return False
        if isinstance(outcome, TaskFailed) and (reason := _unreadable(self.task, outcome)) is not None:
            await self._keep(reason)
        await self.job.ack()
        self.engine.holdings.discard(self.job)
        return True

    async def release(self) -> None:
        """Give the attempt back before user code ran: another claim may follow."""
        if await self.withdraw():
            await self.engine.holdings.hand_back(self.job)

    async def withdraw(self) -> bool:
        """Record that it will not be made use of; False if a successor has claimed the attempt meanwhile."""
        released = TaskReleased(
            task=self.task.task, attempt=self.task.attempt, execution=self.execution, lost=self.lost
        )
        try:
            await self.engine.bus.append(self.subject, pack_events([released]), expect=self.seq)
        except Conflict:
            self.drop()
            return False
        return True

    async def still_mine(self) -> bool:
        """Whether no later event than the claim is recorded."""
        last = await self.engine.bus.last(self.subject)
        return last is not None and last.seq <= self.seq

    def drop(self) -> None:
        """A successor has it: touch the job no more."""
        self.job.drop()
        self.engine.holdings.discard(self.job)

    async def _keep(self, reason: str) -> None:
        """Keep the job with the dead letters, for whoever finds out about its code. The outcome is what counts."""
        try:
            await DeadLetters(self.engine).put(self.job, reason, host=self.host)
        except BusError:
            _log.exception("%s cannot be kept with the dead letters", self.job.subject)

    async def _store(self, outcome: bytes) -> None:
        """Store the outcome when there is room: it exists only here, and the work would have to be done again."""
        pause = 0.0
        while True:
            try:
                await self.engine.bus.append(self.subject, outcome, expect=self.seq)
            except StorageFull as full:
                if not pause:
                    _log.error("%s: its outcome waits for room on the server. %s", self.subject, full)
                pause = min(2 * pause, LONGEST_PAUSE) or FIRST_PAUSE
                await asyncio.sleep(pause)  # a pause between tries of a refused request: nothing announces free space
            else:
                if pause:
                    _log.warning("%s: its outcome has found room and is recorded", self.subject)
                return


class Claimer:
    """Makes claims for one worker."""

    def __init__(self, engine: Engine, host: str) -> None:
        self._engine = engine
        self._host = host

    async def claim(self, job: Job, task: TaskJob) -> Claim | None:
        """Claim the attempt of `job`; None when it is settled already or another worker's, and the job dealt with."""
        subject = self._engine.subjects.task(task.run, task.dag, task.task)
        expect, execution, lost = task.after, 1, 0
        while True:
            started = self._started(task, execution, lost)
            asked = asyncio.get_running_loop().time()
            try:
                seq = await self._engine.bus.append(subject, pack_events([started]), expect=expect)
            except Conflict:
                pass
            else:
                claim = Claim(self._engine, job, task, subject, seq, execution, lost, self._host)
                return await self._in_time(claim, asked)
            last = await self._engine.bus.last(subject)
            if last is None:
                expect = 0
                continue
            match _latest(job, last):
                case TaskStarted(attempt=attempt) as earlier if attempt == task.attempt:
                    if not await self._may_take(job, earlier):
                        return None
                    expect, execution, lost = last.seq, earlier.execution + 1, earlier.lost + 1
                    if lost >= LOST_EXECUTIONS:
                        await self._give_up(job, task, earlier, subject, expect)
                        return None
                case TaskReleased(attempt=attempt) as released if attempt == task.attempt:
                    expect, execution, lost = last.seq, released.execution + 1, released.lost
                case ended if is_before(ended, task.attempt):
                    expect = last.seq
                case _:
                    await self._forget(job)
                    return None

    def _started(self, task: TaskJob, execution: int, lost: int) -> TaskStarted:
        return TaskStarted(
            task=task.task,
            attempt=task.attempt,
            execution=execution,
            worker=self._engine.holdings.worker,
            host=self._host,
            lost=lost,
        )

    async def _in_time(self, claim: Claim, asked: float) -> Claim | None:
        """The claim, unless this worker was cut off before it heard of it, and has a successor."""
        if asyncio.get_running_loop().time() - asked <= LATE or await claim.still_mine():
            return claim
        claim.drop()
        return None

    async def _may_take(self, job: Job, earlier: TaskStarted) -> bool:
        if await self._engine.holdings.verdict(job, earlier.worker) is Verdict.TAKE:
            return True
        await self._engine.holdings.hand_back(job, self._engine.holdings.rest)
        return False

    async def _give_up(self, job: Job, task: TaskJob, earlier: TaskStarted, subject: str, expect: int) -> None:
        failed = lost_too_often(task, earlier)
        try:
            await self._engine.bus.append(subject, pack_events([failed]), expect=expect)
        except Conflict:
            _log.info("%s: somebody else has settled it", subject)
        await self._forget(job)

    async def _forget(self, job: Job) -> None:
        await job.ack()
        self._engine.holdings.discard(job)


def _latest(job: Job, last: Record) -> Event | None:
    """What was last written of a task; None where that is damaged: whoever drives the log sets its run aside."""
    try:
        return events_of(last)[-1]
    except LogDamaged as error:
        _log.error("%s is not run: %s", job.subject, error)
        return None


def is_before(event: Event | None, attempt: int) -> bool:
    """Whether it has ended an attempt before this one, which follows a failure, or a reopening of the dag run."""
    match event:
        case TaskFailed() | TaskSucceeded() | TaskAborted() | TaskCancelled():
            return 0 < event.attempt < attempt
    return False


def lost_too_often(task: TaskJob, earlier: TaskStarted) -> TaskFailed:
    """The outcome of an attempt whose workers vanished again and again."""
    message = (
        f"The worker that ran '{task.name}' vanished {LOST_EXECUTIONS} times, last {earlier.worker} on {earlier.host}. "
        "Look for what kills it there: memory, a signal, the machine."
    )
    return TaskFailed(
        task=task.task,
        attempt=task.attempt,
        execution=earlier.execution,
        error=RemoteError(type="WorkerLost", message=message),
        provenance=Provenance(worker=earlier.worker, host=earlier.host, pid=0, start=0.0, end=0.0),
    )


def _unreadable(task: TaskJob, failed: TaskFailed) -> str | None:
    """Why the code of the task could not be read, if that is how its attempt failed."""
    error = failed.error
    is_of_code = error.message.startswith((f"Task '{task.name}' ", f"The code {task.code} "))
    return error.words if error.type in _UNREADABLE and is_of_code else None
