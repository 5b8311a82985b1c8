"""An event loop with a clock of its own: it stands still while anything can happen, then jumps to what is due next."""

import asyncio
import math
import selectors
from collections.abc import Callable
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Pauses take no time; what other threads do takes none either.

    Args:
        next_on: Called when the loop has nothing left to do; whether some thread is busy then. The clock waits for it,
            however long it takes.
    """

    def __init__(self, next_on: Callable[[], bool]) -> None:
        self._now = 0.0
        super().__init__(_JumpingSelector(next_on, self._jump))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _jump(self, seconds: float) -> None:
        # A hair beyond: the loop runs what is due before now, and at large times cannot tell its slack from nothing.
        self._now = math.nextafter(self._now + seconds, math.inf)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, next_on: Callable[[], bool], jump: Callable[[float], None]) -> None:
        super().__init__()
        self._next_on = next_on
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Asked by the loop for what is ready, or until when to wait: None for ever, 0 when there is work at hand."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if self._next_on() or timeout is None:
            return super().select(None)
        ready: list[Any] = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready
