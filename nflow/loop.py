"""The event loop that everything runs in: uvloop where it is installed (`pip install 'nflow[fast]'`), else asyncio's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end: the one bridge between synchronous and asynchronous code."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional, and not needed before a loop is
    except ImportError:
        return None
    return uvloop.new_event_loop
