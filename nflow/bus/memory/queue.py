"""Jobs in memory: who has which, and until when."""

from collections.abc import Callable
from typing import Protocol

from nflow.bus.memory.stream import Stream, matches
from nflow.bus.port import Clock, JobQueue, QueueState, Record

Renewed = Callable[[], float]  #: when the holder of a job last renewed its lease


class Taker(Protocol):
    """A client's end of a queue."""

    def is_free(self) -> bool:
        """Whether it wants a job and can be reached."""

    def give(self, entry: "Entry") -> Renewed:
        """Here is one."""


class Timers(Protocol):
    """What a queue needs of its server."""

    clock: Clock
    lease: float | None

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back when so much time has passed."""


class Entry:
    """One stored job."""

    def __init__(self, record: Record, queue: "Queue") -> None:
        self.record = record
        self.queue = queue
        self.deliveries = 0
        self.renewed: Renewed | None = None

    def ack(self) -> None:
        """Done, whoever says so: the server cannot tell an earlier holder from a later one."""
        self.queue.done(self)

    def hand_back(self, delay: float) -> None:
        """Deliver it again, later."""
        self.queue.hand_back(self, delay)


class Queue:
    """A durable consumer: each job to one taker at a time, in the order of their storing."""

    def __init__(self, pattern: str, timers: Timers, stream: Stream) -> None:
        self._pattern = pattern
        self._timers = timers
        self._stream = stream
        self._entries: dict[int, Entry] = {}
        self._ready: list[int] = []
        self._takers: list[Taker] = []
        self._delivered = 0

    def state(self, name: str) -> QueueState:
        """How full it is."""
        in_hand = len(self.delivered())
        return QueueState(
            queue=JobQueue(name=name, subject=self._pattern),
            waiting=len(self._entries) - in_hand,
            in_hand=in_hand,
            delivered=self._delivered,
        )

    def delivered(self) -> list[int]:
        """The jobs that were given to somebody and are not done, by sequence."""
        return [seq for seq, entry in self._entries.items() if entry.deliveries]

    def offer(self, record: Record) -> None:
        """A job was stored."""
        if matches(self._pattern, record.subject):
            self._entries[record.seq] = Entry(record, self)
            self._make_ready(record.seq)

    def forget(self, seq: int) -> None:
        """The job was removed from its stream; if it was not, nobody will ever get it."""
        self._entries.pop(seq, None)
        if seq in self._ready:
            self._ready.remove(seq)

    def done(self, entry: Entry) -> None:
        """The job was acknowledged; of one that was forgotten, the server does not know what is meant."""
        if entry.record.seq in self._entries:
            self._stream.remove(entry.record)
            self.forget(entry.record.seq)

    def hand_back(self, entry: Entry, delay: float) -> None:
        """The job's holder does not want it."""
        entry.renewed = None
        if delay > 0:
            self._timers.after(delay, lambda: self._make_ready(entry.record.seq))
        else:
            self._make_ready(entry.record.seq)

    def join(self, taker: Taker) -> None:
        """Take from this queue."""
        self._takers.append(taker)

    def leave(self, taker: Taker) -> None:
        """Take no more."""
        if taker in self._takers:
            self._takers.remove(taker)

    def deliver(self) -> None:
        """Give waiting jobs to free takers, in turn."""
        while self._ready and (taker := next((each for each in self._takers if each.is_free()), None)):
            self._takers.append(self._takers.pop(self._takers.index(taker)))
            entry = self._entries[self._ready.pop(0)]
            entry.deliveries += 1
            self._delivered = max(self._delivered, entry.record.seq)
            entry.renewed = taker.give(entry)
            if self._timers.lease is not None:
                self._watch(entry, self._timers.lease, self._timers.lease)

    def _make_ready(self, seq: int) -> None:
        if seq in self._entries and seq not in self._ready:
            self._ready.append(seq)
            self._ready.sort()
            self.deliver()

    def _watch(self, entry: Entry, lease: float, seconds: float) -> None:
        delivery = entry.deliveries
        self._timers.after(seconds, lambda: self._check(entry, lease, delivery))

    def _check(self, entry: Entry, lease: float, delivery: int) -> None:
        """The lease would end now, unless it was renewed."""
        if entry.renewed is None or entry.deliveries != delivery or entry.record.seq not in self._entries:
            return
        left = entry.renewed() + lease - self._timers.clock.time()
        if left > 0:
            self._watch(entry, lease, left)
        else:
            self.hand_back(entry, 0.0)
