"""Who holds what: the question to a recorded holder, and the answers of this worker.

A redelivered job proves only that a lease ran out, and after an outage every lease has. Before anyone takes work
away from a worker, that worker is asked.
"""

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable

from nflow.bus.port import LEASE, Bus, Job
from nflow.core.ids import WorkerId
from nflow.errors import NobodyThere
from nflow.wire.subjects import Subjects

_log = logging.getLogger(__name__)

#: Silence is no verdict before one's own connection has stood so long: the other may be reconnecting too.
SETTLING = 2.0

#: A holder that has not answered after so long is taken for gone.
SILENCE = 1.0

#: How long a job rests after its holder said that it is alive; the holder's renewals then keep it from coming again.
REST = 2.0

_MINE = b"mine"
_NOT_MINE = b"not mine"


class Verdict(enum.Enum):
    """What a worker that received a job may do, when the log names a holder for it."""

    TAKE = enum.auto()  #: the holder is gone
    HAND_BACK = enum.auto()  #: the holder lives, or it is too early to tell


class Holdings:
    """The jobs that this worker holds, by subject."""

    def __init__(self, bus: Bus, worker: WorkerId, subjects: Subjects) -> None:
        self.worker = worker
        self._bus = bus
        self._subjects = subjects
        self._held: dict[str, Job] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self._answers = bus.answer(subjects.holder(worker), self._answer)
        self._was_away = False
        self._silent: dict[WorkerId, float] = {}  # since when nobody answers for them, after an outage
        self._reconnects = bus.on_reconnect(self._on_reconnect)

    def __contains__(self, subject: str) -> bool:
        return subject in self._held

    def __len__(self) -> int:
        return len(self._held)

    def add(self, job: Job, *, still_mine: Callable[[], Awaitable[bool]], stand_down: Callable[[], None]) -> bool:
        """Hold `job` and keep up its lease. When a renewal came too late, `still_mine` decides from the log.

        Returns:
            False when this worker holds that job already: it goes on, and the new delivery means nothing.
        """
        if job.subject in self._held:
            job.drop()
            return False

        def on_lost() -> None:
            check = asyncio.ensure_future(self._recheck(job, still_mine, stand_down))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

        self._held[job.subject] = job
        job.hold(on_lost)
        return True

    @property
    def rest(self) -> float:
        """How long a job that is handed back rests: until its holder has renewed it, or a verdict may be given."""
        settling = SETTLING - self._bus.connected_for()
        return min(REST, settling) if settling > 0 else REST

    def discard(self, job: Job) -> None:
        """`job` is done or taken over."""
        if self._held.get(job.subject) is job:
            del self._held[job.subject]

    async def hand_back(self, job: Job, delay: float = 0.0) -> None:
        """Return `job` to its queue, for this worker or another."""
        self.discard(job)
        await job.hand_back(delay)

    async def verdict(self, job: Job, holder: WorkerId) -> Verdict:
        """What may be done with `job`, whose work the log says `holder` has."""
        if holder == self.worker:
            return Verdict.TAKE  # an earlier holding of this very process, which is over
        try:
            answer = await self._bus.ask(self._subjects.holder(holder), job.subject.encode(), timeout=SILENCE)
        except (NobodyThere, TimeoutError):
            if self._bus.connected_for() < SETTLING or self._may_come_back(holder):
                return Verdict.HAND_BACK
            _log.warning("worker %s is gone; its work is taken over: %s", holder, job.subject)
            return Verdict.TAKE
        self._silent.pop(holder, None)
        return Verdict.HAND_BACK if answer == _MINE else Verdict.TAKE

    async def is_held(self, subject: str, holder: WorkerId) -> bool:
        """Whether that worker is alive and says that it holds the job of this subject."""
        try:
            return await self._bus.ask(self._subjects.holder(holder), subject.encode(), timeout=SILENCE) == _MINE
        except (NobodyThere, TimeoutError):
            return False

    def close(self) -> None:
        """Answer no more: what was held here may be taken at once."""
        self._answers.close()
        self._reconnects.close()
        for check in self._checks:
            check.cancel()

    def _on_reconnect(self) -> None:
        self._was_away = True
        self._silent.clear()

    def _may_come_back(self, holder: WorkerId) -> bool:
        """Whether a silent holder may be one that is merely late after an outage.

        In an outage every lease runs out, so that its jobs come proves nothing. It must have been silent for as long as
        it takes a lease to run out in good times.
        """
        if not self._was_away or self._bus.connected_for() >= SETTLING + LEASE:
            return False
        now = asyncio.get_running_loop().time()
        return now - self._silent.setdefault(holder, now) < LEASE

    async def _answer(self, subject: bytes) -> bytes:
        return _MINE if subject.decode() in self._held else _NOT_MINE

    async def _recheck(
        self, job: Job, still_mine: Callable[[], Awaitable[bool]], stand_down: Callable[[], None]
    ) -> None:
        if await still_mine():
            job.resume()
            return
        _log.warning("a successor has taken over while this worker was away: %s", job.subject)
        job.drop()
        self.discard(job)
        stand_down()
