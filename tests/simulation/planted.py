"""Eight bugs, each planted by a port that does not do what the engine relies on: the simulation must find them all."""

from nflow.bus.port import Guard, QueueState, Record
from nflow.core.events import RunRetried, StopRequested, TaskAborted, TaskFailed, TaskStarted, TaskSucceeded
from nflow.errors import NobodyThere
from nflow.wire.messages import pack_events, unpack_events
from nflow.wire.subjects import event_place, job_place
from tests.simulation.port import EPOCH, Port


class NoFencing(Port):
    """The owner of a log writes to it, though there is a later one."""

    def conditions(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None
    ) -> tuple[int | None, Guard | None]:
        return expect, None


class NoClaim(Port):
    """A claim is not checked: whoever has the job runs it, and its outcome is checked against its own claim."""

    def conditions(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None
    ) -> tuple[int | None, Guard | None]:
        return None if _tells(subject, payload, TaskStarted) else expect, guard


class AckBeforeOutcome(Port):
    """The job of a task is done before its outcome is recorded."""

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        if _tells(subject, payload, TaskSucceeded, TaskFailed, TaskAborted):
            place = event_place(subject)
            for job in list(self.in_hand()):
                of = job_place(job.subject)
                if (of.run, of.dag, of.task) == (place.run, place.dag, place.last):
                    await job.ack()
                    await self.flush()
        return await super().append(subject, payload, expect=expect, guard=guard, ttl=ttl)


class StopInMemory(Port):
    """A stop is told to those who listen, and not stored."""

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        if not _tells(subject, payload, StopRequested):
            return await super().append(subject, payload, expect=expect, guard=guard, ttl=ttl)
        stream = self._twin.stream(subject)
        record = Record(subject, stream.last_seq("nflow.event.>"), EPOCH + self.now(), payload)
        for bus in self._twin.buses:
            bus.pushed(record)
        return record.seq


class DispatchTwice(Port):
    """A job is stored though one waits or runs under its subject."""

    def conditions(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None
    ) -> tuple[int | None, Guard | None]:
        return None if subject.startswith("nflow.job.") else expect, guard

    def _store_job(self, subject: str, payload: bytes) -> None:
        self._twin.append(subject, payload, None, None, None)


class DeathByRedelivery(Port):
    """A job that comes again is proof that its holder is dead."""

    async def ask(self, subject: str, payload: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109 - the port's word
        raise NobodyThere(f"Nobody was asked on {subject}.")


class EarlierStopsCount(Port):
    """A run that goes on is stopped by the stops of the time before."""

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        if _tells(subject, payload, RunRetried):
            asked = self._twin.stream(subject).read(f"{subject.removesuffix('_log')}_ask", 0, 1 << 30).records
            stops = [each for record in asked for each in unpack_events(record.payload)]
            earlier = [each for each in stops if isinstance(each, StopRequested) and each.dag is None]
            payload = pack_events([*unpack_events(payload), *earlier])
        return await super().append(subject, payload, expect=expect, guard=guard, ttl=ttl)


class NoCount(Port):
    """Nobody hears how many jobs are in hand, so that those which the server has forgotten are not missed."""

    async def queues(self) -> list[QueueState]:
        return []


BUGS: dict[str, type[Port]] = {
    "no-fencing": NoFencing,
    "no-claim": NoClaim,
    "ack-before-outcome": AckBeforeOutcome,
    "stop-in-memory": StopInMemory,
    "dispatch-twice": DispatchTwice,
    "death-by-redelivery": DeathByRedelivery,
    "earlier-stops-count": EarlierStopsCount,
    "no-count": NoCount,
}


def _tells(subject: str, payload: bytes, *kinds: type) -> bool:
    return subject.startswith("nflow.event.") and isinstance(unpack_events(payload)[-1], kinds)
