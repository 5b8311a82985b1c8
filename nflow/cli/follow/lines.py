"""What the tasks of a run write, brought to its screen: no faster than it is shown."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType

from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.lines import Lines
from nflow.wire.lines import Line


class ShownLines:
    """Shows them while the `async with` lasts, and to the end when it is left without an error."""

    def __init__(
        self, engine: Engine, run: RunId, show: Callable[[Sequence[Line]], Awaitable[object]], *, after: int = 0
    ) -> None:
        self._lines = Lines(engine, run, after=after)
        self._show = show
        self._showing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ShownLines":
        await self._lines.__aenter__()
        self._showing = asyncio.ensure_future(self._show_all())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._showing is not None
        await self._lines.__aexit__(kind, error, trace)
        if kind is not None:
            self._showing.cancel()
            return
        self._lines.finish()
        await self._showing

    async def _show_all(self) -> None:
        async for page in self._lines.pages():
            await self._show([line for passage in page for line in passage.lines])
