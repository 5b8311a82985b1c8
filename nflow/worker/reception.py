"""Jobs as they come in: opened, or turned away with a reason. A broken one stops nobody."""

import asyncio
import logging
from collections.abc import Coroutine

from nflow.bus.port import Job
from nflow.core.jobs import Job as Message
from nflow.engine.engine import Engine
from nflow.errors import MessageError, SchemaTooNew
from nflow.wire.frames import pack_plain
from nflow.wire.messages import unpack_job
from nflow.wire.subjects import job_place

_log = logging.getLogger(__name__)

#: Seconds before a job that only a newer worker can read is offered again.
UPGRADE_PAUSE = 5.0

#: Deliveries after which a job that nobody can handle is laid down with the dead letters.
MOST_TRIES = 20


class Reception:
    """Opens jobs for one worker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._works: set[asyncio.Task[None]] = set()

    def open(self, job: Job) -> Message | None:
        """What `job` asks for; None when it cannot be read, and was turned away."""
        try:
            return unpack_job(job.payload)
        except SchemaTooNew as error:
            _log.warning("%s: %s", job.subject, error)
            self._spawn(self._engine.holdings.hand_back(job, UPGRADE_PAUSE))
        except MessageError as error:
            self.refuse(job, str(error))
        return None

    def refuse(self, job: Job, reason: str) -> None:
        """Lay `job` down with the dead letters."""
        self._spawn(self._lay_down(job, reason))

    async def failed(self, job: Job, reason: str, pause: float) -> None:
        """Handling `job` failed here: let it be tried again, but not for ever."""
        if job.deliveries < MOST_TRIES:
            await self._engine.holdings.hand_back(job, pause)
        else:
            await self._lay_down(job, f"{reason} (tried {job.deliveries} times)")

    async def _lay_down(self, job: Job, reason: str) -> None:
        _log.error("%s cannot be handled: %s", job.subject, reason)
        place = job_place(job.subject)
        letter = {
            "schema": 1,
            "subject": job.subject,
            "reason": reason,
            "worker": self._engine.holdings.worker,
            "deliveries": job.deliveries,
            "payload": job.payload,
        }
        await self._engine.bus.append(self._engine.subjects.dead(place.kind, place.run), pack_plain(letter))
        await job.ack()
        self._engine.holdings.discard(job)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
