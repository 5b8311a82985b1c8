"""What the clients of one in-memory bus share: streams, queues, and who listens."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nflow.bus.clock import SystemClock
from nflow.bus.memory.queue import Queue
from nflow.bus.memory.stream import Stream
from nflow.bus.port import LEASE, Clock, Guard, JobQueue, QueueState, Record
from nflow.bus.topology import is_stored, stream_of
from nflow.errors import Conflict, Fenced, StorageFull

if TYPE_CHECKING:
    from nflow.bus.memory.bus import MemoryBus

_IN_MEMORY = "_workers"  # the bucket that a real server loses when it is restarted


class MemoryServer:
    """The twin of a NATS server.

    Args:
        clock: By which leases run out and records are dated.
        epoch: The date at which the clock showed 0; by default, such that now is now.
        lease: Seconds after which a job is delivered again unless its lease is renewed; None: workers cannot die.
    """

    def __init__(self, clock: Clock | None = None, *, epoch: float | None = None, lease: float | None = LEASE) -> None:
        self.clock: Clock = clock or SystemClock()
        self.lease = lease
        self._epoch = time.time() - self.clock.time() if epoch is None else epoch
        self._streams: dict[str, Stream] = {}
        self._queues: dict[str, dict[str, Queue]] = defaultdict(dict)
        self._timers: set[asyncio.Task[None]] = set()
        self.buses: list[MemoryBus] = []
        self.loses: Callable[[Record], bool] = lambda _: False  #: a test's way to lose pushes
        self.is_full: Callable[[str], bool] = lambda _: False  #: and to refuse records of some subjects

    # --- outages ---

    def stop(self) -> None:
        """Go away: every client is cut off."""
        for bus in self.buses:
            bus.cut()

    def start(self) -> None:
        """Come back with all that was on disk."""
        for name in [name for name in self._streams if name.endswith(_IN_MEMORY)]:
            del self._streams[name]
        for bus in self.buses:
            bus.mend()

    def now(self) -> float:
        """Seconds since the epoch, by this server's clock."""
        return self._epoch + self.clock.time()

    # --- records ---

    def stream(self, subject: str) -> Stream:
        """The stream that stores `subject`."""
        name = stream_of(subject)
        return self._streams.setdefault(name, Stream(one_per_subject=name.startswith("KV_")))

    def append(
        self, subject: str, payload: bytes, expect: int | None, guard: Guard | None, ttl: float | None
    ) -> Record:
        """Store a record and tell who watches."""
        if self.is_full(subject):
            raise StorageFull(f"The server has no room for {subject}.")
        stream = self.stream(subject)
        if guard is not None and self.stream(guard.subject).last_seq(guard.subject) != guard.seq:
            raise Fenced(f"{guard.subject} is no longer at {guard.seq}: a later owner has taken this log.")
        if expect is not None and stream.last_seq(subject) != expect:
            raise Conflict(f"Somebody else wrote to {subject} after {expect}.")
        record = stream.append(subject, payload, self.now())
        if ttl is not None:
            self.after(ttl, lambda: stream.remove(record))
        self._route(subject, payload)
        self._push(record)
        return record

    def purge(self, subject: str, through: int | None = None) -> None:
        """Remove records, and jobs with them."""
        gone = self.stream(subject).purge(subject, through)
        for queue in self._queues[stream_of(subject)].values():
            for record in gone:
                queue.forget(record.seq)

    def _push(self, record: Record) -> None:
        if stream_of(record.subject).endswith("_jobs"):
            for queue in self._queues[stream_of(record.subject)].values():
                queue.offer(record)
        elif not self.loses(record):
            for bus in self.buses:
                bus.pushed(record)

    # --- queues ---

    def queue(self, queue: JobQueue) -> Queue:
        """The durable consumer of that name, made with the jobs that wait already."""
        queues = self._queues[stream_of(queue.subject)]
        if queue.name not in queues:
            stream = self.stream(queue.subject)
            queues[queue.name] = Queue(queue.subject, self, stream)
            for record in stream.read(queue.subject, 0, limit=1 << 30).records:
                queues[queue.name].offer(record)
        return queues[queue.name]

    def queues(self, stream: str) -> list[QueueState]:
        """How full the queues of a stream are, by name."""
        return [queue.state(name) for name, queue in sorted(self._queues[stream].items())]

    # --- messages ---

    def publish(self, subject: str, payload: bytes) -> None:
        """Send to whoever listens, and keep it where a stream does."""
        if is_stored(subject):
            self.append(subject, payload, None, None, None)
        else:
            self._route(subject, payload)

    def _route(self, subject: str, payload: bytes) -> None:
        for bus in self.buses:
            bus.message(subject, payload)

    def answerer(self, subject: str) -> Callable[[bytes], Awaitable[bytes]] | None:
        """Who answers there, if anybody."""
        return next((answer for bus in self.buses for answer in bus.answers_to(subject)), None)

    # --- time ---

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back when so much time has passed."""

        async def wait() -> None:
            await self.clock.sleep(seconds)
            callback()

        timer = asyncio.ensure_future(wait())
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)

    async def close(self) -> None:
        """End all timers."""
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)
