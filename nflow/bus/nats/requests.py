"""Requests and their replies, any number at once: one inbox, one table of who waits, one timer for all.

A request whose reply is lost, by an outage or by silence, comes back as `None`: whether it was carried out is then
unknown, and the caller alone knows how to find out.
"""

import asyncio
import logging
from itertools import count
from secrets import token_hex
from typing import Generic, TypeVar

from nats.aio.msg import Msg

from nflow.bus.nats.connection import Connection
from nflow.errors import ServerRefused

_LOG = logging.getLogger("nflow.bus")

_TICK = 1.0
_SILENCE = 3  # ticks without any reply after which whoever waits that long is told
_PATIENCE = 10  # ticks after which a reply is lost although others arrive: a server that syncs each write is slow

T = TypeVar("T")


class _Waiting(Generic[T]):
    """A request whose caller waits."""

    __slots__ = ("future", "sent", "subject")

    def __init__(self, future: "asyncio.Future[T | None]", subject: str, sent: int) -> None:
        self.future = future
        self.subject = subject
        self.sent = sent

    def take(self, message: Msg) -> bool:
        """Whether this was the last reply."""
        raise NotImplementedError

    def lose(self) -> None:
        """There will be no further reply."""
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """The server does not let us ask this."""
        if not self.future.done():
            self.future.set_exception(error)


class _One(_Waiting[Msg]):
    __slots__ = ()

    def take(self, message: Msg) -> bool:
        if not self.future.done():
            self.future.set_result(message)
        return True


class _Many(_Waiting[list[Msg]]):
    """The last reply carries a status and no record."""

    __slots__ = ("messages",)

    def __init__(self, future: "asyncio.Future[list[Msg] | None]", subject: str, sent: int) -> None:
        super().__init__(future, subject, sent)
        self.messages: list[Msg] = []

    def take(self, message: Msg) -> bool:
        self.messages.append(message)
        if status_of(message) is None:
            return False
        if not self.future.done():
            self.future.set_result(self.messages)
        return True


class Requests:
    """The inbox of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._prefix = f"_INBOX.{token_hex(11)}."
        self._skip = len(self._prefix)
        self._count = count()
        self._waiting: dict[str, _One | _Many] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._now = 0  # in ticks
        self._last_reply = 0
        connection.listen(self._prefix + "*", self._on_reply)
        connection.on_down.add(self._lose_all)
        connection.on_refused = self._refuse

    def one(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> "asyncio.Future[Msg | None]":
        """Send now; the reply, or None when it is lost."""
        future: asyncio.Future[Msg | None] = self._loop.create_future()
        self._send(_One(future, subject, self._now), payload, headers)
        return future

    def many(self, subject: str, payload: bytes) -> "asyncio.Future[list[Msg] | None]":
        """Send now; all replies, the one with the closing status last, or None when one of them is lost."""
        future: asyncio.Future[list[Msg] | None] = self._loop.create_future()
        self._send(_Many(future, subject, self._now), payload, None)
        return future

    def _send(self, waiting: _One | _Many, payload: bytes, headers: dict[str, str] | None) -> None:
        token = str(next(self._count))
        if not self._connection.send(waiting.subject, payload, self._prefix + token, headers):
            waiting.lose()
            return
        self._waiting[token] = waiting
        if self._timer is None:
            self._last_reply = self._now
            self._timer = self._loop.call_later(_TICK, self._tick)

    def _on_reply(self, message: Msg) -> None:
        token = message.subject[self._skip :]
        waiting = self._waiting.get(token)
        self._last_reply = self._now
        if waiting is not None and waiting.take(message):
            del self._waiting[token]

    def _tick(self) -> None:
        self._now += 1
        silent = self._now - self._last_reply >= _SILENCE
        bound = self._now - (_SILENCE if silent else _PATIENCE)
        for token, waiting in list(self._waiting.items()):
            if waiting.sent >= bound:
                break  # they stand in the order of their sending
            del self._waiting[token]
            waiting.lose()
        self._timer = self._loop.call_later(_TICK, self._tick) if self._waiting else None

    def _lose_all(self) -> None:
        lost, self._waiting = self._waiting, {}
        for waiting in lost.values():
            waiting.lose()

    def _refuse(self, reason: str) -> None:
        """End those whose subject the server names, as in `permissions violation for publish to "…"`, lower case."""
        _LOG.error("The server refuses: %s", reason)
        for token, waiting in list(self._waiting.items()):
            if f'"{waiting.subject.lower()}"' in reason:
                del self._waiting[token]
                waiting.fail(
                    ServerRefused(f"The server denies this user {waiting.subject}; its permissions must allow it.")
                )


def status_of(message: Msg) -> str | None:
    """The status of a message that is about the request and no record itself."""
    return message.headers.get("Status") if message.headers else None
