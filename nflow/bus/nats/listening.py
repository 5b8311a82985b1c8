"""Subscriptions that outlive the client they were made on, and a way to use nats-py's coroutines without a task."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one subscription may have waiting before messages are dropped."""

    messages: int = 4_000_000
    size_bytes: int = 1 << 30


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that does not suspend: nats-py's publish and subscribe, when its queues have no limit.

    A task for each publish would cost more than the publish, and would lose its order among the others.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # what a coroutine returns travels untyped
    coroutine.close()
    raise RuntimeError("nats-py suspended in a call that nflow relies on not to; this version of it is not supported")


class Callbacks:
    """Functions to be called when something happens."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[], None]] = {}

    def add(self, callback: Callable[[], None]) -> "Added":
        """Call this one too, until the answer is closed."""
        added = Added(self._callbacks)
        self._callbacks[added] = callback
        return added

    def fire(self) -> None:
        """It happened."""
        for callback in list(self._callbacks.values()):
            callback()


class Added:
    """A callback's place in its list."""

    def __init__(self, callbacks: dict[object, Callable[[], None]]) -> None:
        self._callbacks = callbacks

    def close(self) -> None:
        """Take the callback from its list."""
        self._callbacks.pop(self, None)


class Listening:
    """One subscription, made again on every new client."""

    def __init__(
        self, subject: str, on_message: Callable[[Msg], None], limits: Limits, on_close: Callable[[int, None], object]
    ) -> None:
        self._subject = subject
        self._on_message = on_message
        self._limits = limits
        self._on_close = on_close
        self._inner: NatsSubscription | None = None
        self._draining: asyncio.Task[None] | None = None
        self._closed = False

    def start(self, client: Client) -> None:
        """Subscribe on this client."""
        self._inner = drive(
            client.subscribe(
                self._subject,
                cb=self._deliver,
                pending_msgs_limit=self._limits.messages,
                pending_bytes_limit=self._limits.size_bytes,
            )
        )

    def close(self) -> None:
        """Stop listening at once; what has arrived and was not delivered is dropped."""
        if not self._closed:
            self._forget()
            if self._inner is not None:
                with suppress(NatsError):  # closed, which is as good
                    drive(self._inner.unsubscribe())

    def drain(self) -> None:
        """Stop listening, but deliver what the server had sent until then."""
        inner = self._inner
        if self._closed or inner is None:
            self.close()
            return

        async def finish() -> None:
            with suppress(NatsError, TimeoutError):
                await inner.drain()  # type: ignore[no-untyped-call] # nats-py leaves it out
            self._closed = True

        self._on_close(id(self), None)
        self._draining = asyncio.ensure_future(finish())

    def _forget(self) -> None:
        self._closed = True
        self._on_close(id(self), None)

    async def _deliver(self, message: Msg) -> None:
        if not self._closed:
            self._on_message(message)
