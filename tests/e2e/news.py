"""Waiting for something to become true, woken by whoever changes it."""

import asyncio
from collections.abc import Callable

#: Nothing that a test waits for takes so long, even on a busy machine.
PATIENCE = 20.0


class News:
    """Wakes those who wait whenever something has changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        """Something has changed."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Return when it is so; what is so is looked at after every change."""
        async with asyncio.timeout(patience):
            while not is_so():
                changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.add(changed)
                try:
                    await changed
                finally:
                    self._waiting.discard(changed)
