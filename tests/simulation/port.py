"""The bus as a node of the simulation has it: the twin of the real one, behind a network that plays its tricks.

The contract of the port holds through all of it: a call that was sent is performed once, however long its answer takes,
but for unconditional appends, of which a second copy may be stored. What a dead node had on its way may still arrive.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from nflow.bus.clock import SystemClock
from nflow.bus.memory import MemoryBus, MemoryServer
from nflow.bus.memory.intake import MemoryIntake, MemoryJob
from nflow.bus.memory.queue import Entry
from nflow.bus.port import LEASE, Guard, Intake, Job, JobQueue, Page, QueueState, Record
from nflow.errors import Conflict, NobodyThere
from tests.simulation.chance import mixed, part
from tests.simulation.plan import Noise

T = TypeVar("T")

#: The date at which simulated time begins: later than any real one, for code that is young when it is stored.
EPOCH = 4_000_000_000.0

#: A worker that stands still has no more jobs sent to it once what it has asked for has expired.
ASKED_FOR = LEASE / 2

#: Seconds between two renewals: so much later a worker may find that its leases have run out.
RENEWAL = LEASE / 4

#: After an outage of the server, clients are back within so many seconds.
RECONNECTING = 1.5

#: A question or answer that is lost on a connection that stands is sent again after so long.
ASKED_AGAIN = 0.3

#: The longest way of one.
LONGEST_HOP = 0.15


class Twin(MemoryServer):
    """The server, in the time of the loop, with someone who looks at all that is stored."""

    def __init__(self, on_record: Callable[[Record], None]) -> None:
        super().__init__(SystemClock(), epoch=EPOCH)
        self.is_down = False
        self._on_record = on_record
        self._loop = asyncio.get_running_loop()

    def append(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None, ttl: float | None
    ) -> Record:
        record = super().append(subject, payload, expect, guard, ttl)
        self._on_record(record)
        return record

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._loop.call_later(seconds, callback)

    def stop(self) -> None:
        self.is_down = True
        for bus in list(self.buses):
            bus.look_up()

    def start(self) -> None:
        self.is_down = False
        for name in [name for name in self._streams if name.endswith("_workers")]:
            del self._streams[name]
        for bus in list(self.buses):
            bus.reconnect_soon()

    def redeliver(self, worker: str) -> int:
        """Deliver what this worker holds once more, as if its leases had run out; how many jobs that were."""
        held = [job for bus in self.buses if bus.name == worker for job in bus.in_hand()]
        for job in held:
            job.entry.hand_back(0.0)
        return len(held)

    def forget(self, most: int) -> int:
        """Keep jobs that were delivered, the last ones first, and never deliver them again; how many these were."""
        queues = self._queues["nflow_jobs"].values()
        known = [(seq, queue) for queue in queues for seq in queue.delivered()]
        known.sort(key=lambda each: -each[0])
        for seq, queue in known[:most]:
            queue.forget(seq)
        return len(known[:most])

    def jobs_left(self) -> list[str]:
        """The jobs that are stored."""
        return [record.subject for record in self.stream("nflow.job.all").read("nflow.job.>", 0, 1 << 30).records]


class SimJob(MemoryJob):
    """A job in hand, whose acknowledgement may be lost."""

    _dark_since: float | None = None

    @property
    def entry(self) -> Entry:
        return self._entry

    def doubt(self, since: float) -> None:
        """Its holder was not to be heard since then, and finds out soon."""
        self._dark_since = since

    def renewed(self) -> float:
        return super().renewed() if self._dark_since is None else self._dark_since

    def lose(self) -> None:
        super().lose()
        self._dark_since = None

    async def ack(self) -> None:
        self.drop()
        self._holder.acknowledge(self._entry.ack)

    async def hand_back(self, delay: float = 0.0) -> None:
        self.drop()
        self._holder.acknowledge(partial(self._entry.hand_back, delay))


class SimIntake(MemoryIntake):
    """A flow of jobs that take their time."""

    def give(self, entry: Entry) -> Callable[[], float]:
        self._on_the_way += 1
        job = SimJob(entry, self._holder)
        self._holder.bring(partial(self._arrive, entry, job), self._lost_on_the_way)
        return job.renewed

    def _lost_on_the_way(self) -> None:
        self._on_the_way -= 1


class Port(MemoryBus):
    """What one process has of the bus."""

    def __init__(self, twin: Twin, name: str, number: int, seed: int, noise: Noise) -> None:
        self.name = name
        self.is_dead = self.is_over = self.is_paused = self.is_cut = self.is_deaf = False
        self.calls = 0
        self.on_call: Callable[[int], None] = lambda _: None
        self.on_silence: Callable[[str], None] = lambda _: None  #: a live holder's answer did not come through
        self._twin = twin
        self._seed = mixed(seed, number)
        self._noise = noise
        self._messages = 0
        self._loop = asyncio.get_running_loop()
        self._dark_since: float | None = None
        self._paused_at = 0.0
        self._outgoing: list[Callable[[], None]] = []  # until the connection is back
        self._incoming: list[Callable[[], None]] = []  # until the process goes on, and the connection is back
        self._is_reconnecting = False
        super().__init__(twin)
        if twin.is_down:
            self.look_up()

    # --- what happens to the process ---

    @property
    def is_dark(self) -> bool:
        """Whether nobody hears from it."""
        return self.is_dead or self.is_paused or not self._up.is_set()

    def kill(self) -> None:
        self.is_dead = self._closed = True
        self.look_up()
        for intake in self._intakes:
            intake.close()
        if self in self._twin.buses:
            self._twin.buses.remove(self)
        self._outgoing.clear()
        self._incoming.clear()

    def pause(self) -> None:
        self.is_paused = True
        self._paused_at = self.now()
        self._note_darkness()

    def resume(self) -> None:
        self.is_paused = False
        self._note_darkness()
        self._catch_up()
        for intake in self._intakes:
            intake.look()

    def cut(self) -> None:
        self.is_cut = True
        self.look_up()

    def mend(self) -> None:
        self.is_cut = False
        self.look_up()

    def heal(self) -> None:
        """The network is well from here on."""
        self._noise = Noise()

    def hear_pushes(self, hears: bool) -> None:
        """Whether pushes come through."""
        self.is_deaf = not hears

    def reconnect_soon(self) -> None:
        """The server is back; this process finds that out after a while."""
        self._is_reconnecting = True
        self._loop.call_later(self._chance() * RECONNECTING, self._reconnected_now)

    def _reconnected_now(self) -> None:
        self._is_reconnecting = False
        self.look_up()

    def look_up(self) -> None:
        """Whether there is a connection may have changed."""
        can = not (self.is_dead or self.is_cut or self._twin.is_down or self._is_reconnecting)
        if can and not self._up.is_set():
            self._up.set()
            self._since = self.now()
            self._note_darkness()
            outgoing, self._outgoing = self._outgoing, []
            for action in outgoing:
                self._loop.call_later(self._delay(), action)
            self._catch_up()
            for intake in self._intakes:
                intake.look()
            self._hear(partial(self._tell_reconnected))
        elif not can and self._up.is_set():
            self._up.clear()
            self._cut_at = self.now()
            self._note_darkness()
            self._twin.after(LEASE, partial(self._lose_leases, self._cut_at))

    def _tell_reconnected(self) -> None:
        for listed in list(self._reconnected):
            listed.callback()

    def _note_darkness(self) -> None:
        """Leases are not renewed meanwhile; a worker that comes to itself finds out which have run out."""
        if self.is_dark:
            if self._dark_since is None:
                self._dark_since = self.now()
        elif self._dark_since is not None:
            if self.now() - self._dark_since >= LEASE:
                for job in list(self._in_hand):
                    job.doubt(self._dark_since)
                    self._loop.call_later(self._chance() * RENEWAL, self._hear, job.lose)
            self._dark_since = None

    def _catch_up(self) -> None:
        if not self.is_dark:
            incoming, self._incoming = self._incoming, []
            for action in incoming:
                self._loop.call_later(self._delay(), self._hear, action)

    # --- the network ---

    def _chance(self) -> float:
        self._messages += 1
        return part(mixed(self._seed, -self._messages), 0)

    def _delay(self) -> float:
        return self._delay_of(mixed(self._seed, -self._bump()))

    def _bump(self) -> int:
        self._messages += 1
        return self._messages

    def _delay_of(self, bits: int) -> float:
        how, much = part(bits, 0), part(bits, 1)
        if how < self._noise.slow:
            return 0.5 * much * much
        return 0.03 * much if how > 0.95 else 0.0002 + 0.002 * much

    def _short_delay(self) -> float:
        """Of questions and answers: a network on which they took seconds would be as good as cut."""
        return min(self._delay(), LONGEST_HOP)

    async def _through(self, perform: Callable[[], T]) -> T:
        """Have it done by the server, once; nothing but the answer is lost with who asked."""
        if self.is_over:
            raise asyncio.CancelledError
        self.calls += 1
        bits = mixed(self._seed, self.calls)
        reply: asyncio.Future[T] = self._loop.create_future()
        if not self.is_dead:
            lands = bool(bits >> 63)
            self._loop.call_later(self._delay_of(bits), self._arrive, perform, reply, bits >> 32, lands)
            self.on_call(self.calls)
        return await reply

    def _arrive(self, perform: Callable[[], T], reply: "asyncio.Future[T]", bits: int, lands: bool) -> None:
        if self.is_dead and not (lands and not self._twin.is_down and not self.is_cut):
            return
        if not self.is_dead and not self._up.is_set():
            self._outgoing.append(partial(self._arrive, perform, reply, bits, lands))
            return
        try:
            result, error = perform(), None
        except Exception as failure:  # noqa: BLE001 - it is the answer
            result, error = None, failure
        self._loop.call_later(self._delay_of(bits), self._hear, partial(_answer, reply, result, error))

    def post(self, action: Callable[[], None]) -> None:
        """Send what nobody waits for."""
        if self.is_dead or self.is_over:
            return
        bits = mixed(self._seed, -self._bump())
        self._loop.call_later(self._delay_of(bits), self._land, action, bool(bits >> 63))

    def acknowledge(self, action: Callable[[], None]) -> None:
        """Send what may be lost: then the lease of the job runs out."""
        if self._chance() >= self._noise.unheard:
            self.post(action)

    def _land(self, action: Callable[[], None], lands: bool) -> None:
        if self.is_dead and not (lands and not self._twin.is_down and not self.is_cut):
            return
        if not self.is_dead and not self._up.is_set():
            self._outgoing.append(partial(self._land, action, lands))
            return
        action()

    def _hear(self, action: Callable[[], None]) -> None:
        """Something arrives: now, or when the process goes on."""
        if self.is_dead or self.is_over:
            return
        if self.is_dark:
            self._incoming.append(action)
        else:
            action()

    def bring(self, arrive: Callable[[], None], lost: Callable[[], None]) -> None:
        """A job is on its way here; with the connection it is lost."""
        self._loop.call_later(self._delay(), self._bring, arrive, lost)

    def _bring(self, arrive: Callable[[], None], lost: Callable[[], None]) -> None:
        if not self._up.is_set():
            lost()
        else:
            self._hear(arrive)

    # --- records ---

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        expect: int | None = None,
        guard: Guard | None = None,
        ttl: float | None = None,
    ) -> int:
        self._admit(subject, payload)
        store = partial(self._twin.append, subject, payload, *self.conditions(subject, payload, expect, guard), ttl)
        if expect is None and guard is None and self._noise.twice and self._chance() < self._noise.twice:
            self._loop.call_later(self._delay(), self._land, store, True)
        return (await self._through(store)).seq

    def conditions(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None
    ) -> tuple[int | None, Guard | None]:
        """What the server checks before it stores a record: what it was told to."""
        return expect, guard

    async def last(self, subject: str) -> Record | None:
        return await self._through(lambda: self._twin.stream(subject).last(subject))

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        return await self._through(lambda: self._twin.stream(subject).read(subject, after, limit))

    async def last_of_each(self, subjects: list[str]) -> list[Record]:
        if not subjects:
            return []
        return await self._through(lambda: self._twin.stream(subjects[0]).last_of_each(subjects))

    async def heads(self, subject: str, tokens: int) -> set[str]:
        return await self._through(lambda: self._twin.stream(subject).heads(subject, tokens))

    async def newest(self, subject: str) -> int:
        return await self._through(lambda: self._twin.stream(subject).newest)

    async def purge(self, subject: str, *, through: int | None = None) -> None:
        await self._through(lambda: self._twin.purge(subject, through))

    def pushed(self, record: Record) -> None:
        for listed in self._heard(self._watching, record.subject):
            bits = mixed(self._seed, -self._bump())
            if self.is_deaf or part(bits, 2) < self._noise.lost:
                continue
            self._loop.call_later(self._delay_of(bits), self._push, listed, record)
            if part(bits, 3) < self._noise.twice:
                self._loop.call_later(2 * self._delay_of(bits) + 0.01, self._push, listed, record)

    def _push(self, listed: Any, record: Record) -> None:
        if self._up.is_set():  # else it was lost with the connection
            self._hear(lambda: None if listed.closed else listed.callback(record))

    # --- jobs ---

    async def enqueue(self, subject: str, payload: bytes) -> bool:
        try:
            await self.append(subject, payload, expect=0)
        except Conflict:
            return False
        return True

    async def queues(self) -> list[QueueState]:
        return await self._through(lambda: self._twin.queues("nflow_jobs"))

    async def take(self, queue: JobQueue, on_job: Callable[[Job], None]) -> Intake:
        intake = await self._through(lambda: SimIntake(self._twin.queue(queue), self, on_job))
        self._intakes.append(intake)
        return intake

    # --- plain messages ---

    async def ask(self, subject: str, payload: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109 - the port's word
        if self.is_over:
            raise asyncio.CancelledError
        self.calls += 1
        bits = mixed(self._seed, self.calls)
        reply: asyncio.Future[bytes] = self._loop.create_future()
        if not self.is_dead:
            again = ASKED_AGAIN if part(bits, 2) < self._noise.lost else 0.0
            put = partial(self._put, subject, payload, reply)
            self._loop.call_later(again + self._short_delay(), self._land, put, False)
            self.on_call(self.calls)
        async with asyncio.timeout(timeout):
            return await reply

    def _put(self, subject: str, payload: bytes, reply: "asyncio.Future[bytes]") -> None:
        """The question is at the server."""
        for bus in self._twin.buses:
            if answers := bus.answers_to(subject):
                if self._chance() < self._noise.silent:
                    self.on_silence(bus.name)
                    return
                bus.be_asked(answers[0], payload, partial(self._be_told, reply))
                return
        error = NobodyThere(f"Nobody answers on {subject}.")
        self._loop.call_later(self._delay(), self._hear, partial(_answer, reply, None, error))

    def be_asked(
        self, answer: Callable[[bytes], Awaitable[bytes]], payload: bytes, reply: Callable[[bytes], None]
    ) -> None:
        """A question is on its way here."""
        self._loop.call_later(self._short_delay(), self._hear, partial(self._think, answer, payload, reply))

    def _think(
        self, answer: Callable[[bytes], Awaitable[bytes]], payload: bytes, reply: Callable[[bytes], None]
    ) -> None:
        thinking = asyncio.ensure_future(answer(payload))
        thinking.add_done_callback(lambda done: None if done.cancelled() else reply(done.result()))

    def _be_told(self, reply: "asyncio.Future[bytes]", answer: bytes) -> None:
        self._loop.call_later(self._short_delay(), self._hear, partial(_answer, reply, answer, None))

    # --- life ---

    async def flush(self) -> None:
        await self._through(lambda: None)

    async def close(self) -> None:
        self.kill()

    async def server_time(self) -> float:
        return await self._through(self._twin.now)

    def is_up(self) -> bool:
        """Whether jobs are sent here; asked by the server, which does not know that a process stands still."""
        is_expired = self.is_paused and self.now() - self._paused_at > ASKED_FOR
        return self._up.is_set() and not is_expired

    def now(self) -> float:
        return self._loop.time()

    def connected_for(self) -> float:
        return self.now() - self._since if self._up.is_set() else 0.0

    def alive_at(self) -> float:
        return self.now() if self._dark_since is None else self._dark_since


def _answer(reply: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if reply.done():
        return
    if error is None:
        reply.set_result(result)
    else:
        reply.set_exception(error)
