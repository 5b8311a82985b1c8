"""Jobs as they come in: opened, or turned away with a reason. A broken one stops nobody."""

import asyncio
import logging
import platform
import random
import time
from collections import OrderedDict
from collections.abc import Coroutine

from nflow.bus.port import Job
from nflow.core.jobs import Job as Message
from nflow.engine.dead_letters.due import due_job
from nflow.engine.dead_letters.giving_up import give_up
from nflow.engine.dead_letters.letters import DeadLetters
from nflow.engine.engine import Engine
from nflow.errors import (
    BlobLost,
    BrokenMessage,
    LogDamaged,
    MessageError,
    NflowError,
    SchemaTooNew,
    StorageFull,
    StoreTypeError,
    StoreUnavailable,
    WorkerExhausted,
)
from nflow.wire.messages import unpack_job
from nflow.wire.subjects import job_place

_log = logging.getLogger(__name__)

#: Seconds before a job that only a newer worker can read is offered again: at first, and when nobody has taken it.
FIRST_PAUSE = 0.1
UPGRADE_PAUSE = 2.0

#: Seconds between tries of what waits for a person to help: room on the server, a database that is back.
HELP_PAUSE = 3.0

#: Failures in a row after which a job that cannot be handled here is laid down with the dead letters. How often it was
#: delivered tells nothing: a run that goes on for weeks outlives many a worker.
MOST_TRIES = 20

#: The same where the spec is gone: it was stored before the job, so it will not turn up, but a replica may be late.
MOST_LOOKS = 3

#: Seconds after which a failure does not count any more, and jobs whose failures are remembered.
IN_A_ROW = 300.0
MOST_REMEMBERED = 4096


class Reception:
    """Opens jobs for one worker, and sees to it that none of them stays in its hands."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._works: set[asyncio.Task[None]] = set()
        self._too_new: OrderedDict[str, None] = OrderedDict()  # subjects of jobs that only a newer nflow can handle
        self._told: OrderedDict[str, None] = OrderedDict()  # their runs
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # by the job's subject: how many, when last

    def open(self, job: Job) -> Message | None:
        """What `job` asks for; None when it cannot be read, and was turned away."""
        try:
            message = unpack_job(job.payload)
        except SchemaTooNew as error:
            self._spawn(self._leave_to_newer(job, error))
        except MessageError as error:
            self.refuse(job, str(error))
        else:
            if job.subject not in self._too_new:
                return message
            self.turn_away(job, _pause_of(job))
        return None

    def turn_away(self, job: Job, pause: float = 0.0) -> None:
        """Return `job` to its queue: it is not for this worker, or not now."""
        self._spawn(self._engine.holdings.hand_back(job, pause))

    def refuse(self, job: Job, reason: str) -> None:
        """Lay `job` down with the dead letters."""
        self._spawn(self._lay_down(job, reason, UPGRADE_PAUSE))

    async def failed(self, job: Job, message: Message, error: Exception, pause: float) -> None:
        """Handling `job` failed here: let it be tried again after `pause` seconds, but not for ever.

        A full server and a newer nflow are no faults of the job's; there it is tried until a person has helped.
        """
        match error:
            case SchemaTooNew():
                await self._leave_to_newer(job, error)
            case WorkerExhausted():  # others may have what it takes
                await self._engine.holdings.hand_back(job, pause)
            case StorageFull() | StoreUnavailable():
                await self._engine.holdings.hand_back(job, max(pause, HELP_PAUSE))
            case LogDamaged():  # it says which record it is; that will not be better next time
                await self._lay_down(job, str(error), pause, message)
            case BrokenMessage() | StoreTypeError():
                await self._lay_down(job, f"{type(error).__name__}: {error}", pause, message)
            case _:
                most = MOST_LOOKS if isinstance(error, BlobLost) else MOST_TRIES
                if self._failures_of(job) < most:
                    await self._engine.holdings.hand_back(job, pause)
                else:
                    await self._lay_down(job, f"{type(error).__name__}: {error} ({most} times)", pause, message)

    async def _leave_to_newer(self, job: Job, error: SchemaTooNew) -> None:
        """Hand back what this nflow cannot read; once told, it is not looked at again in this life of the worker."""
        run = job_place(job.subject).run
        if run not in self._told:
            _log.warning("run %s is left to newer workers, for this one cannot read %s: %s", run, job.subject, error)
        _remember(self._told, run)
        _remember(self._too_new, job.subject)
        await self._engine.holdings.hand_back(job, _pause_of(job))

    def _failures_of(self, job: Job) -> int:
        """How often in a row it has failed here, this time included."""
        count, last = self._failures.pop(job.subject, (0, 0.0))
        now = time.monotonic()
        count = count + 1 if now - last < IN_A_ROW else 1
        self._failures[job.subject] = count, now
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)
        return count

    async def _lay_down(self, job: Job, reason: str, pause: float, message: Message | None = None) -> None:
        """Keep `job` for a person to look at; what waited for it is told that it failed."""
        _log.error("%s cannot be handled: %s", job.subject, reason)
        try:
            await DeadLetters(self._engine).put(job, reason, host=platform.node())
            message = message or await due_job(self._engine, job.subject)
            if message is not None:
                await give_up(self._engine, message, reason)
        except NflowError:
            _log.exception("%s cannot be laid down either", job.subject)
            await self._engine.holdings.hand_back(job, pause)
            return
        await job.ack()
        self._engine.holdings.discard(job)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


def _pause_of(job: Job) -> float:
    """How long a job rests that a newer worker is to take: at first one may be waiting for it.

    By chance, for the server asks its workers in turn: in step with that, the job would come to the same one for ever.
    """
    longest = min(UPGRADE_PAUSE, FIRST_PAUSE * (1 << min(job.deliveries, 10)))
    return random.uniform(FIRST_PAUSE, longest)  # noqa: S311 - it keeps no secret


def _remember(known: OrderedDict[str, None], name: str) -> None:
    known[name] = None
    if len(known) > MOST_REMEMBERED:
        known.popitem(last=False)
