"""Records on their way to their streams, in order, for which nobody waits: kept until the server has stored them.

After an outage all that the server has not confirmed is sent again, so a record may be stored twice; whoever reads such
records knows them again by what is in them. Ids that the server would compare cost it memory for every single one.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from secrets import token_hex

from nats.aio.msg import Msg

from nflow.bus.nats.connection import Connection
from nflow.bus.nats.jetstream import NO_RESPONDERS
from nflow.bus.nats.requests import status_of

_LOG = logging.getLogger("nflow.bus")

#: Bytes that are kept; more than that can only gather in an outage, and then the oldest go.
MOST_BYTES = 64 * 1024**2

#: Records on their way for which it is not worth to wait: that would cost every task that prints a trip to the server.
FEW = 8

#: Seconds without an answer, on a connection that stands, after which a record is taken for lost on its way.
SILENCE = 2.0

#: Seconds between two looks whether a stream that has no leader has got one.
PROBE = 0.25


class Outbox:
    """What was posted on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prefix = f"_INBOX.{token_hex(11)}."
        self._skip = len(self._prefix)
        self._next = 0
        self._waiting: dict[int, tuple[str, bytes]] = {}  # in the order of their posting
        self._on_way: Counter[str] = Counter()  #: by subject
        self._askers: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._held = 0  #: bytes
        self._lost = 0  #: records that went in this outage
        self._stalled = False  #: nobody takes records: only the oldest is tried, so that they stay in order
        self._probing: asyncio.TimerHandle | None = None
        self._mark = 0  #: the next number as of the last tick
        self._clock: asyncio.TimerHandle | None = None
        connection.listen(self._prefix + "*", self._on_reply)
        connection.on_up.add(self._send_all)

    def post(self, subject: str, payload: bytes) -> None:
        """Send now, or when there is somebody to take it."""
        number, self._next = self._next, self._next + 1
        self._waiting[number] = (subject, payload)
        self._on_way[subject] += 1
        self._held += len(payload)
        if self._connection.up.is_set() and not self._stalled:
            self._send(number)
        while self._held > MOST_BYTES:
            self._forget(next(iter(self._waiting)))
            self._lost += self._stalled or not self._connection.up.is_set()  # else it is on its way
        if self._clock is None:
            self._mark = number
            self._clock = asyncio.get_running_loop().call_later(SILENCE, self._tick)

    async def posted(self, subject: str) -> None:
        """Return when nothing is on its way to this subject; a few are let pass, for they are there in no time."""
        if self._on_way.get(subject, 0) > FEW:
            asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._askers[subject].append(asker)
            await asker

    def close(self) -> None:
        """Send nothing again."""
        for timer in (self._clock, self._probing):
            if timer is not None:
                timer.cancel()

    def _send(self, number: int) -> None:
        subject, payload = self._waiting[number]
        self._connection.send(subject, payload, f"{self._prefix}{number}")

    def _on_reply(self, message: Msg) -> None:
        if status_of(message) == NO_RESPONDERS:  # the stream has no leader, or is not there yet after a restart
            self._stall()
            return
        number = int(message.subject[self._skip :])
        if number in self._waiting:
            if message.data.startswith(b'{"error"'):
                _LOG.warning("%s is not stored: %s", self._waiting[number][0], message.data.decode(errors="replace"))
            self._forget(number)
        if self._stalled:
            self._send_all()

    def _forget(self, number: int) -> None:
        subject, payload = self._waiting.pop(number)
        self._held -= len(payload)
        self._on_way[subject] -= 1
        if not self._on_way[subject]:
            del self._on_way[subject]
            for asker in self._askers.pop(subject, ()):
                if not asker.done():
                    asker.set_result(None)

    def _send_all(self) -> None:
        """Somebody takes records again."""
        self._stalled = False
        if self._lost:
            _LOG.warning("%d messages are lost, for which there was no room while the server was away", self._lost)
            self._lost = 0
        for number in self._waiting:
            self._send(number)

    def _stall(self) -> None:
        if not self._stalled:
            self._stalled = True
            self._probe()

    def _probe(self) -> None:
        """Try the oldest one, again and again: its answer tells when the others can follow."""
        if not self._waiting:
            self._stalled = False
        if self._stalled:
            if self._connection.up.is_set():
                self._send(next(iter(self._waiting)))
            self._probing = asyncio.get_running_loop().call_later(PROBE, self._probe)

    def _tick(self) -> None:
        oldest = next(iter(self._waiting), self._next)
        if oldest < self._mark and self._connection.up.is_set():
            self._stall()
        self._mark = self._next
        self._clock = asyncio.get_running_loop().call_later(SILENCE, self._tick) if self._waiting else None
