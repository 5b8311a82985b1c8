"""The port: everything the engine asks of a message bus, and not one word of NATS.

A bus stores *records* under subjects, in one order per stream, and can refuse a record whose writer did not know the
last one. It hands *jobs* to one worker at a time under a lease. It carries plain messages that nobody keeps.
`bus/nats/` and `bus/memory.py` hold to the same contract, and the same tests run on both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

#: Seconds after which a job whose lease was not renewed is delivered again. Renewals come four times as often.
LEASE = 3.0


class Record(NamedTuple):
    """A stored message. `at` is the server's clock, seconds since the epoch."""

    subject: str
    seq: int
    at: float
    payload: bytes
    last_seq: int = 0  #: pushed records: the sequence before this one on its subject, so that a gap shows


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in stream order, and how many more match after the last of them."""

    records: list[Record]
    pending: int


@dataclass(frozen=True, slots=True)
class Guard:
    """Store only while `seq` is the last sequence on `subject` (wildcards allowed): how writes are fenced."""

    subject: str
    seq: int


@dataclass(frozen=True, slots=True)
class JobQueue:
    """One place jobs wait in: the durable consumer `name` over the jobs whose subject matches `subject`."""

    name: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """How full a queue is, at one moment."""

    queue: JobQueue
    waiting: int  #: jobs that nobody was given yet
    in_hand: int  #: jobs that were given to a worker, and are not done; one whose worker died is among them
    delivered: int  #: the newest sequence that anybody was given; later ones wait


class Subscription(Protocol):
    """Something that listens until it is closed."""

    def close(self) -> None:
        """Stop listening. Safe to call twice."""


class Job(Protocol):
    """A job in this worker's hands, leased and not yet done."""

    subject: str
    payload: bytes
    deliveries: int  #: 1 the first time; more proves only that an earlier lease ran out
    seq: int  #: its sequence in the stream of jobs: no other job ever had it

    @property
    def is_leased(self) -> bool:
        """Whether a held job was renewed within a lease: nobody else can have it. False proves nothing."""

    def hold(self, on_lost: Callable[[], None]) -> None:
        """Renew the lease until `ack`, `hand_back` or `drop`. `on_lost` is called on the loop when one was late."""

    def resume(self) -> None:
        """Go on renewing after `on_lost`, once the holder has made sure that the job is still its own."""

    def drop(self) -> None:
        """Stop renewing and touch the job no more: a successor has it."""

    async def ack(self) -> None:
        """Done: remove the job from its queue."""

    async def hand_back(self, delay: float = 0.0) -> None:
        """Return the job to its queue, to be delivered again after `delay` seconds."""


class Intake(Subscription, Protocol):
    """A flow of jobs from one queue, as fast as they are asked for."""

    def want(self, count: int) -> None:
        """Set how many further jobs may be delivered from now on (replaces what was wanted before)."""


class Bus(Protocol):
    """What every bus can do. Coroutines wait through an outage of the server instead of failing, unless they say."""

    namespace: str

    @property
    def max_payload_bytes(self) -> int:
        """The largest payload of one message."""

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
        """Store a record durably and return its sequence.

        Args:
            subject: Where; its prefix chooses the stream.
            payload: What.
            expect: The last sequence on this subject must be this one (0: none yet).
            guard: The last sequence on another subject must be that one.
            ttl: Forget the record after so many seconds, at least 1.

        After an ambiguous outage the append finds out by itself whether its record was stored.

        Raises:
            Conflict: `expect` does not hold.
            Fenced: `guard` does not hold.
            TooLarge, SubjectTooLong: refused before sending.
            StorageFull: the server refuses new records.
        """

    async def last(self, subject: str) -> Record | None:
        """The newest record on exactly this subject."""

    async def read(self, subject: str, *, after: int = 0, limit: int = 1000) -> Page:
        """Records that match `subject` (wildcards allowed) with a sequence greater than `after`, oldest first."""

    async def last_of_each(self, subjects: list[str]) -> list[Record]:
        """The newest record of every subject that matches one of these (wildcards allowed), in stream order."""

    async def heads(self, subject: str, tokens: int) -> set[str]:
        """The first `tokens` tokens of all subjects that match `subject` and have records: what there is, by name."""

    async def newest(self, subject: str, *, before: float | None = None) -> int:
        """The newest sequence of the stream that stores `subject`, whatever it is on: what comes later is newer.

        With `before`, in seconds since the epoch: one behind which stands all that came to `subject` from then on, by
        the clock of the server, and nothing that came to it earlier.
        """

    async def origin(self, subject: str) -> str:
        """What tells the stream that stores `subject` from any other that ever had its name: when it was made."""

    async def purge(self, subject: str, *, through: int | None = None) -> None:
        """Remove every record that matches `subject`, up to this sequence if one is given."""

    def watch(self, subject: str, on_record: Callable[[Record], None]) -> Subscription:
        """Call back for records as they are stored. A push may be lost; whoever must not miss one reads as well."""

    # --- jobs ---

    async def enqueue(self, subject: str, payload: bytes) -> bool:
        """Store a job; False when one waits or runs under this subject already."""

    def post_job(self, subject: str, payload: bytes) -> None:
        """Store a job like `enqueue`, for whoever need not know when it is stored: no task, no waiting."""

    async def withdraw(self, subject: str) -> None:
        """Remove exactly this job, leased or not."""

    async def take(self, queue: JobQueue, on_job: Callable[[Job], None]) -> Intake:
        """Open a flow of jobs from `queue`, which is created if need be. Nothing comes before `want`."""

    async def queues(self) -> list[QueueState]:
        """Every queue that somebody has ever taken jobs from, by name. What is stored while it is asked may be out."""

    # --- plain messages ---

    def publish(self, subject: str, payload: bytes) -> None:
        """Send to whoever listens now; on a subject of a stream it is stored too, without a receipt."""

    def post_record(self, subject: str, payload: bytes) -> None:
        """Store a record, after those that were posted before, for whoever need not know when: no task, no waiting.

        It outlasts the loss of the connection and of the server. After such a loss it may be stored twice, so readers
        must know it again by what is in it.
        """

    async def posted(self, subject: str) -> None:
        """Return when the records are stored that were posted under this subject, but for a few on their way."""

    def subscribe(self, subject: str, on_message: Callable[[str, bytes], None]) -> Subscription:
        """Call back with (subject, payload) for every message that matches."""

    def answer(self, subject: str, handler: Callable[[bytes], Awaitable[bytes]]) -> Subscription:
        """Answer requests on `subject`."""

    async def ask(self, subject: str, payload: bytes, *, timeout: float) -> bytes:  # noqa: ASYNC109 - reads better
        """One request, one answer.

        Raises:
            NobodyThere: nobody answers on that subject, at once.
            TimeoutError: somebody may be there, but was silent for `timeout` seconds.
        """

    # --- life ---

    async def server_time(self) -> float:
        """The server's clock, seconds since the epoch: the one by which records are dated, on whatever host."""

    def connected_for(self) -> float:
        """Seconds since the connection was last made; 0 while there is none. Verdicts about others wait for it."""

    def on_reconnect(self, callback: Callable[[], None]) -> Subscription:
        """Call back after every reconnect: pushes may have been missed."""

    def on_disconnect(self, callback: Callable[[], None]) -> Subscription:
        """Call back when the connection is lost; a new one is being made already."""

    async def flush(self) -> None:
        """Return when the server has everything that was published before."""

    async def close(self) -> None:
        """Send what is waiting, then disconnect."""


class Clock(Protocol):
    """Time as the engine sees it: real, or virtual in tests."""

    def time(self) -> float:
        """Monotonic seconds."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass: only for clocks (deadlines, renewals, ticks), never to wait for something."""
