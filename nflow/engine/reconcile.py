"""The tick that makes pushes safe: once per lease period every followed log is compared with the server.

In normal operation it repairs nothing; `repaired` counts what it had to mend.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nflow.bus.port import LEASE

_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[int]]


class Reconciler:
    """Calls every registered check once per lease period, all of them together."""

    def __init__(self, *, every: float | None = LEASE) -> None:
        """Make a reconciler.

        Args:
            every: Seconds between two ticks; None on a bus that loses nothing.
        """
        self.repaired = 0
        self._every = every
        self._checks: dict[Check, None] = {}  # in the order of their coming, the same in every run of a test
        self._clock: asyncio.Task[None] | None = None

    def add(self, check: Check) -> None:
        """Call `check` at each tick; it returns the number of records that it had to repair."""
        self._checks[check] = None
        if self._clock is None and self._every is not None:
            self._clock = asyncio.ensure_future(self._tick_for_ever(self._every))

    def discard(self, check: Check) -> None:
        """Call it no more."""
        self._checks.pop(check, None)

    def close(self) -> None:
        """Stop the clock."""
        if self._clock is not None:
            self._clock.cancel()

    async def tick(self) -> None:
        """Call them all, once."""
        found = await asyncio.gather(*(check() for check in list(self._checks)), return_exceptions=True)
        for result in found:
            if isinstance(result, BaseException):
                _log.warning("a log could not be compared with the server: %s", result)
            elif result:
                self.repaired += result
                _log.warning("%d records had not been pushed and were read instead", result)

    async def _tick_for_ever(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)  # a clock, not a wait: what it looks after moves by pushes
            await self.tick()
