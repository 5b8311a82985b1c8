"""A continuous flow of jobs from one queue.

The server is asked in advance, so that a job is on its way the moment it is stored. What was asked for is lost with
the connection, with the consumer or with its leader; each such loss, and silence, ends in asking again.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from secrets import token_hex

from nats.aio.msg import Msg

from nflow.bus.nats.backoff import Backoff
from nflow.bus.nats.connection import Connection
from nflow.bus.nats.leases import Leases, now
from nflow.bus.nats.requests import status_of
from nflow.bus.port import LEASE, Job
from nflow.errors import NflowError

_LOG = logging.getLogger("nflow.bus")

_EXPIRES = LEASE / 2  # what a frozen worker has asked for must not swallow its own jobs when they are delivered again
_HEARTBEAT = 0.7  # at most half of that, says the server
_SILENCE = 2.5  # seconds without a heartbeat after which what was asked for is taken for lost

_HEARTBEATS = "100"
_EXPIRED = "408"

_ACK = b"+ACK"
_NAK = b"-NAK"


class NatsJob:
    """A job in hand; its acknowledgement subject is its identity."""

    __slots__ = ("_connection", "_leases", "_received", "_reply", "deliveries", "payload", "seq", "subject")

    def __init__(self, message: Msg, connection: Connection, leases: Leases) -> None:
        self.subject = message.subject
        self.payload = message.data
        self.deliveries, self.seq = _counts(message.reply)
        self._reply = message.reply
        self._received = now()
        self._connection = connection
        self._leases = leases

    @property
    def is_leased(self) -> bool:
        """See the port."""
        return self._leases.is_renewed(self._reply)

    def hold(self, on_lost: Callable[[], None]) -> None:
        """Renew the lease from now on; see the port."""
        self._leases.hold(self._reply, on_lost, self._received)

    def resume(self) -> None:
        """Renew a lost lease again."""
        self._leases.resume(self._reply)

    def drop(self) -> None:
        """Touch the job no more."""
        self._leases.release(self._reply)

    async def ack(self) -> None:
        """Done. Not confirmed: a lost acknowledgement means a redelivery, which finds the outcome on record."""
        self._leases.release(self._reply)
        self._connection.post(self._reply, _ACK)

    async def hand_back(self, delay: float = 0.0) -> None:
        """Return the job to its queue."""
        self._leases.release(self._reply)
        self._connection.post(self._reply, _NAK + b' {"delay":%d}' % int(delay * 1e9) if delay > 0 else _NAK)


class Puller:
    """An intake: keeps as many jobs asked for as are wanted."""

    def __init__(
        self,
        connection: Connection,
        leases: Leases,
        next_subject: str,
        on_job: Callable[[Job], None],
        ensure: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._leases = leases
        self._next_subject = next_subject
        self._on_job = on_job
        self._ensure = ensure
        self._loop = asyncio.get_running_loop()
        self._inbox = f"_INBOX.{token_hex(11)}."
        self._rounds = itertools.count()
        self._wanted = 0
        self._asked = 0
        self._alive = True
        self._mending: asyncio.Task[None] | None = None
        self._backoff = Backoff(longest=1.0)
        self._closed = False
        self._listen()
        self._up = connection.on_up.add(self._again)
        self._timer = self._loop.call_later(_SILENCE, self._watch)

    def want(self, count: int) -> None:
        """Set how many more jobs may be delivered. What was asked for cannot be unasked: an excess is handed back."""
        self._wanted = count
        self._ask()

    def close(self) -> None:
        """Take no more; what is on its way is handed back."""
        if not self._closed:
            self._closed = True
            self._wanted = 0
            self._up.close()
            self._timer.cancel()
            if self._mending is not None:
                self._mending.cancel()
            self._listening.drain()

    def _listen(self) -> None:
        # A new inbox each round: to what was asked for in an earlier one nobody listens, so the server drops it.
        self._reply = f"{self._inbox}{next(self._rounds)}"
        self._listening = self._connection.listen(self._reply, self._on_message)

    def _ask(self) -> None:
        """Top up, in steps of a quarter: a request for each single job would double the traffic."""
        missing = self._wanted - self._asked
        if missing <= 0 or self._closed or (self._asked and 4 * missing < self._wanted):
            return
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (missing, _EXPIRES * 1e9, _HEARTBEAT * 1e9)
        if self._connection.up.is_set() and self._connection.send(self._next_subject, body, self._reply):
            self._asked += missing

    def _again(self) -> None:
        """Nothing that was asked for counts any more."""
        self._listening.drain()
        self._asked = 0
        self._alive = True
        self._listen()
        self._ask()

    def _on_message(self, message: Msg) -> None:
        self._alive = True
        if not message.reply:
            self._on_status(message)
            return
        if self._asked:
            self._asked -= 1
        if self._wanted > 0:
            self._wanted -= 1
            self._on_job(NatsJob(message, self._connection, self._leases))
        else:
            self._connection.post(message.reply, _NAK)

    def _on_status(self, message: Msg) -> None:
        if message.subject != self._reply:
            return  # of an earlier round
        status = status_of(message)
        if status == _HEARTBEATS:
            self._backoff = Backoff(longest=1.0)
        elif status == _EXPIRED:
            self._asked -= min(self._asked, _unused(message))
            self._ask()
        elif self._mending is None:  # the consumer is gone or moves, or has more requests than it takes
            self._mending = self._loop.create_task(self._mend())

    async def _mend(self) -> None:
        while True:
            await self._backoff.pause()
            try:
                await self._ensure()
                break
            except NflowError as error:
                _LOG.error("%s", error)  # the message says it all, and the next try may succeed
        self._mending = None
        self._again()

    def _watch(self) -> None:
        """The server sends heartbeats while it is asked for something: silence means that it has forgotten."""
        if self._asked and not self._alive and self._connection.up.is_set():
            self._again()
        self._alive = False
        self._timer = self._loop.call_later(_SILENCE, self._watch)


def _unused(message: Msg) -> int:
    return int((message.headers or {}).get("Nats-Pending-Messages", 1))


def _counts(reply: str) -> tuple[int, int]:
    """From `$JS.ACK.<stream>.<consumer>.<deliveries>.<seq>…`, or with domain and account before the stream."""
    tokens = reply.split(".", 8)
    first = 4 if reply.count(".") == 8 else 6
    return int(tokens[first]), int(tokens[first + 1])
