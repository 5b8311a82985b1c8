"""How a process of nflow runs Python: its event loop, and how often it looks for garbage.

The loop is uvloop where it is installed (`pip install 'nflow[fast]'`), else asyncio's.
"""

import gc
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

#: When Python looks for garbage in circles, of which nflow makes little: its default looks after 700 new objects, and a
#: graph of 100 000 tasks is then gone through again and again while it is made.
_GARBAGE = (50_000, 20, 20)


def calm_garbage_collection() -> None:
    """For processes that are nflow's own, before they load a workflow."""
    gc.set_threshold(*_GARBAGE)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end: the one bridge between synchronous and asynchronous code."""
    import asyncio  # noqa: PLC0415 - costs 20 ms, for which `nflow --help` need not wait

    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def new() -> "asyncio.AbstractEventLoop":
    """A loop for whoever runs it in a thread of their own."""
    import asyncio  # noqa: PLC0415 - see above

    factory = _factory()
    return asyncio.new_event_loop() if factory is None else factory()


def _factory() -> "Callable[[], asyncio.AbstractEventLoop] | None":
    try:
        import uvloop  # noqa: PLC0415 - optional, and not needed before a loop is
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
