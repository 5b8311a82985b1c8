"""Growing pauses between the tries of something that was refused.

A clock, not a way to wait: whoever can be woken by an event is woken by it.
"""

import asyncio
import random


class Backoff:
    """Pauses that double from `first` to `longest`, each drawn from ±50 %, so that many clients do not come in step."""

    def __init__(self, first: float = 0.005, longest: float = 0.5) -> None:
        self._next = first
        self._longest = longest
        self.spent = 0.0  #: seconds paused so far

    async def pause(self) -> None:
        """Let the other side recover before the next try."""
        seconds = self._next * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, keeps no secret
        self._next = min(2 * self._next, self._longest)
        self.spent += seconds
        await asyncio.sleep(seconds)
