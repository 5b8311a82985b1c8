"""A client of an in-memory server: the port, and the ways in which a test can take it apart."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from nflow.bus.memory.intake import MemoryIntake, MemoryJob
from nflow.bus.memory.server import MemoryServer
from nflow.bus.memory.stream import matches
from nflow.bus.port import LEASE, Guard, Intake, Job, JobQueue, Page, QueueState, Record, Subscription
from nflow.bus.topology import SUBJECT_BYTES, jobs_stream
from nflow.errors import Conflict, NobodyThere, SubjectTooLong, TooLarge

Handler = Callable[[bytes], Awaitable[bytes]]
F = TypeVar("F")


class _Listed(Generic[F]):
    """A callback under a subject, until it is closed."""

    def __init__(self, among: "list[_Listed[F]]", subject: str, callback: F) -> None:
        self._among = among
        self.subject = subject
        self.callback = callback
        self.closed = False
        among.append(self)

    def close(self) -> None:
        """Take it from its list."""
        if not self.closed:
            self.closed = True
            self._among.remove(self)


class MemoryBus:
    """`port.Bus` without a server."""

    def __init__(self, server: MemoryServer, namespace: str = "nflow", *, max_payload_bytes: int = 1_000_000) -> None:
        self.namespace = namespace
        self.max_payload_bytes = max_payload_bytes
        self._server = server
        self._clock = server.clock
        self._up = asyncio.Event()
        self._up.set()
        self._since = self._clock.time()
        self._cut_at = 0.0
        self._closed = False
        self._outbox: list[Callable[[], None]] = []
        self._in_hand: dict[MemoryJob, None] = {}
        self._intakes: list[MemoryIntake] = []
        self._watching: list[_Listed[Callable[[Record], None]]] = []
        self._listening: list[_Listed[Callable[[str, bytes], None]]] = []
        self._answering: list[_Listed[Handler]] = []
        self._reconnected: list[_Listed[Callable[[], None]]] = []
        self._disconnected: list[_Listed[Callable[[], None]]] = []
        server.buses.append(self)

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
        """See the port."""
        self._admit(subject, payload)
        await self._turn()
        return self._server.append(subject, payload, expect, guard, ttl).seq

    async def last(self, subject: str) -> Record | None:
        """See the port."""
        await self._turn()
        return self._server.stream(subject).last(subject)

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        """See the port."""
        await self._turn()
        return self._server.stream(subject).read(subject, after, limit)

    async def last_of_each(self, subjects: list[str]) -> list[Record]:
        """See the port."""
        await self._turn()
        return self._server.stream(subjects[0]).last_of_each(subjects) if subjects else []

    async def heads(self, subject: str, tokens: int) -> set[str]:
        """See the port."""
        await self._turn()
        return self._server.stream(subject).heads(subject, tokens)

    async def newest(self, subject: str, *, before: float | None = None) -> int:
        """See the port."""
        await self._turn()
        return self._server.stream(subject).newest_before(subject, before)

    async def origin(self, subject: str) -> str:  # noqa: ARG002 - all streams of a server in memory are made with it
        """See the port."""
        await self._turn()
        return "in memory"

    async def purge(self, subject: str, *, through: int | None = None) -> None:
        """See the port."""
        await self._turn()
        self._server.purge(subject, through)

    def watch(self, subject: str, on_record: Callable[[Record], None]) -> Subscription:
        """See the port."""
        return _Listed(self._watching, subject, on_record)

    # --- jobs ---

    async def enqueue(self, subject: str, payload: bytes) -> bool:
        """See the port."""
        try:
            await self.append(subject, payload, expect=0)
        except Conflict:
            return False
        return True

    def post_job(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self._admit(subject, payload)
        self.post(partial(self._store_job, subject, payload))

    def _store_job(self, subject: str, payload: bytes) -> None:
        with suppress(Conflict):
            self._server.append(subject, payload, 0, None, None)

    async def withdraw(self, subject: str) -> None:
        """See the port."""
        await self.purge(subject)

    async def take(self, queue: JobQueue, on_job: Callable[[Job], None]) -> Intake:
        """See the port."""
        await self._turn()
        intake = MemoryIntake(self._server.queue(queue), self, on_job)
        self._intakes.append(intake)
        return intake

    async def queues(self) -> list[QueueState]:
        """See the port."""
        await self._turn()
        return self._server.queues(jobs_stream(self.namespace))

    # --- plain messages ---

    def publish(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self._admit(subject, payload)
        self.post(partial(self._server.publish, subject, payload))

    def post_record(self, subject: str, payload: bytes) -> None:
        """See the port."""
        self.publish(subject, payload)

    async def posted(self, subject: str) -> None:  # noqa: ARG002 - the port's word
        """See the port."""
        await self._turn()

    def subscribe(self, subject: str, on_message: Callable[[str, bytes], None]) -> Subscription:
        """See the port."""
        return _Listed(self._listening, subject, on_message)

    def answer(self, subject: str, handler: Handler) -> Subscription:
        """See the port."""
        return _Listed(self._answering, subject, handler)

    async def ask(self, subject: str, payload: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109 - the port's word
        """See the port."""
        self._admit(subject, payload)
        asking = asyncio.ensure_future(self._ask(subject, payload))
        waiting = asyncio.ensure_future(self._clock.sleep(timeout))
        try:
            await asyncio.wait([asking, waiting], return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise TimeoutError(f"{subject} is silent")
        finally:
            asking.cancel()
            waiting.cancel()

    async def _ask(self, subject: str, payload: bytes) -> bytes:
        await self._turn()
        answerer = self._server.answerer(subject)
        if answerer is None:
            raise NobodyThere(f"Nobody answers on {subject}.")
        return await answerer(payload)

    # --- life ---

    async def server_time(self) -> float:
        """See the port."""
        await self._turn()
        return self._server.now()

    def connected_for(self) -> float:
        """See the port."""
        return self._clock.time() - self._since if self._up.is_set() else 0.0

    def on_reconnect(self, callback: Callable[[], None]) -> Subscription:
        """See the port."""
        return _Listed(self._reconnected, "", callback)

    def on_disconnect(self, callback: Callable[[], None]) -> Subscription:
        """See the port."""
        return _Listed(self._disconnected, "", callback)

    async def flush(self) -> None:
        """See the port."""
        await self._turn()

    async def close(self) -> None:
        """See the port."""
        self.kill()

    # --- for tests ---

    def kill(self) -> None:
        """Vanish, as a process does that is killed: what it held is delivered again when the leases run out."""
        self.cut()
        self._closed = True
        for intake in self._intakes:
            intake.close()
        with suppress(ValueError):
            self._server.buses.remove(self)

    def cut(self) -> None:
        """Lose the connection."""
        if self._up.is_set():
            self._up.clear()
            self._cut_at = self._clock.time()
            self._server.after(LEASE, partial(self._lose_leases, self._cut_at))
            for listed in list(self._disconnected):
                listed.callback()

    def mend(self) -> None:
        """Get the connection back."""
        if self._up.is_set() or self._closed:
            return
        self._up.set()
        self._since = self._clock.time()
        outbox, self._outbox = self._outbox, []
        for action in outbox:
            action()
        for intake in self._intakes:
            intake.look()
        for listed in list(self._reconnected):
            listed.callback()

    # --- what the server and the jobs call ---

    def is_up(self) -> bool:
        """Whether it is connected."""
        return self._up.is_set()

    def now(self) -> float:
        """What the clock shows."""
        return self._clock.time()

    def alive_at(self) -> float:
        """When it could last renew a lease."""
        return self._clock.time() if self._up.is_set() else self._cut_at

    def in_hand(self) -> dict[MemoryJob, None]:
        """The jobs whose leases it renews."""
        return self._in_hand

    def post(self, action: Callable[[], None]) -> None:
        """Do it now, or when the connection is back."""
        if self._up.is_set():
            action()
        elif not self._closed:
            self._outbox.append(action)

    def pushed(self, record: Record) -> None:
        """A record was stored."""
        for listed in self._heard(self._watching, record.subject):
            self._soon(listed, record)

    def message(self, subject: str, payload: bytes) -> None:
        """A plain message was sent."""
        for listed in self._heard(self._listening, subject):
            self._soon(listed, subject, payload)

    def answers_to(self, subject: str) -> list[Handler]:
        """Its handlers for requests on this subject."""
        return [listed.callback for listed in self._heard(self._answering, subject)]

    def _heard(self, among: list[_Listed[F]], subject: str) -> list[_Listed[F]]:
        return [listed for listed in among if matches(listed.subject, subject)] if self._up.is_set() else []

    @staticmethod
    def _soon(listed: "_Listed[Callable[..., None]]", *arguments: object) -> None:
        def call() -> None:
            if not listed.closed:
                listed.callback(*arguments)

        asyncio.get_running_loop().call_soon(call)

    def _lose_leases(self, cut_at: float) -> None:
        if not self._up.is_set() and not self._closed and self._cut_at == cut_at:
            for job in list(self._in_hand):
                job.lose()

    async def _turn(self) -> None:
        """Let others run, as every call to a real server does, and wait through an outage."""
        await asyncio.sleep(0)
        await self._up.wait()

    def _admit(self, subject: str, payload: bytes) -> None:
        if len(subject.encode()) > SUBJECT_BYTES:
            raise SubjectTooLong(f"The subject {subject[:60]}… is longer than {SUBJECT_BYTES} bytes.")
        if len(payload) > self.max_payload_bytes:
            raise TooLarge(f"A message of {len(payload)} bytes for {subject} is over the limit.")
