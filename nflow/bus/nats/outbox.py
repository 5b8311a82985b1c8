"""Records on their way to their streams, in order, for which nobody waits: kept until the server has stored them.

After an outage all that the server has not confirmed is sent again, so a record may be stored twice; whoever reads such
records knows them again by what is in them. Ids that the server would compare cost it memory for every single one.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from itertools import count
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

#: Seconds without an answer, on a connection that stands, after which all is sent again: an election may swallow it.
SILENCE = 5.0


class Outbox:
    """What was posted on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prefix = f"_INBOX.{token_hex(11)}."
        self._skip = len(self._prefix)
        self._numbers = count()
        self._waiting: dict[int, tuple[str, bytes]] = {}  # in the order of their posting
        self._on_way: Counter[str] = Counter()  #: by subject
        self._askers: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._held = 0  #: bytes
        self._lost = 0  #: records that went in this outage
        self._answered = False
        self._clock: asyncio.TimerHandle | None = None
        connection.listen(self._prefix + "*", self._on_reply)
        connection.on_up.add(self._send_again)

    def post(self, subject: str, payload: bytes) -> None:
        """Send now, or when there is a connection."""
        number = next(self._numbers)
        self._waiting[number] = (subject, payload)
        self._on_way[subject] += 1
        self._held += len(payload)
        if self._connection.up.is_set():
            self._connection.send(subject, payload, f"{self._prefix}{number}")
        while self._held > MOST_BYTES:
            self._forget(next(iter(self._waiting)))
            self._lost += not self._connection.up.is_set()  # else it is on its way, and all but sure to arrive
        if self._clock is None:
            self._clock = asyncio.get_running_loop().call_later(SILENCE, self._tick)

    async def posted(self, subject: str) -> None:
        """Return when nothing is on its way to this subject; a few are let pass, for they are there in no time."""
        if self._on_way.get(subject, 0) > FEW:
            asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._askers[subject].append(asker)
            await asker

    def close(self) -> None:
        """Send nothing again."""
        if self._clock is not None:
            self._clock.cancel()

    def _on_reply(self, message: Msg) -> None:
        if status_of(message) == NO_RESPONDERS:  # the stream is not there yet, after a restart
            return
        self._answered = True
        number = int(message.subject[self._skip :])
        if number in self._waiting:
            if message.data.startswith(b'{"error"'):
                _LOG.warning("%s is not stored: %s", self._waiting[number][0], message.data.decode(errors="replace"))
            self._forget(number)

    def _forget(self, number: int) -> None:
        subject, payload = self._waiting.pop(number)
        self._held -= len(payload)
        self._on_way[subject] -= 1
        if not self._on_way[subject]:
            del self._on_way[subject]
            for asker in self._askers.pop(subject, ()):
                if not asker.done():
                    asker.set_result(None)

    def _send_again(self) -> None:
        if self._lost:
            _LOG.warning("%d messages are lost, for which there was no room while the server was away", self._lost)
            self._lost = 0
        for number, (subject, payload) in self._waiting.items():
            self._connection.send(subject, payload, f"{self._prefix}{number}")

    def _tick(self) -> None:
        if not self._answered and self._connection.up.is_set():
            self._send_again()
        self._answered = False
        self._clock = asyncio.get_running_loop().call_later(SILENCE, self._tick) if self._waiting else None
