"""The bridge for callers without an event loop: one runs in a thread of its own, and plain calls wait for it.

It serves any number of threads at once, also one whose own loop is running, which stands still for the time of a call.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import CancelledError
from typing import Any, Generic, TypeVar

from nflow import loop
from nflow.errors import CallTimedOut, UsageError

T = TypeVar("T")


class Bridge:
    """A loop in a thread, from its making until `close`."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = loop.new()
        self._calls: set[asyncio.Task[Any]] = set()
        self._closing = threading.Lock()
        self._is_closed = False
        # A daemon: Python waits for other threads at its exit before it lets anybody close what they belong to.
        self._thread = threading.Thread(target=self._run, name="nflow-client", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
        """What `work` returns or raises, done on the loop.

        Raises:
            CallTimedOut: it took longer than `timeout` seconds, and was cancelled.
            UsageError: the bridge is closed, or belongs to another process.
        """
        try:
            self._require_open()
        except UsageError:
            work.close()
            raise
        future = asyncio.run_coroutine_threadsafe(self._counted(work, timeout), self._loop)
        try:
            return future.result()
        except CancelledError:
            raise UsageError("The client was closed while this call waited. Open another one.") from None
        except BaseException:  # Ctrl-C ends the wait, and what was waited for
            future.cancel()
            raise

    def iterate(self, pages: AsyncIterator[list[T]]) -> Iterator[T]:
        """The elements of pages that come on the loop; who stops early leaves nothing behind there."""
        steps = _Steps(pages)
        try:
            while page := self.call(steps.next()):
                yield from page
        finally:
            self._forget(steps.close())

    def close(self, farewell: Coroutine[Any, Any, object]) -> None:
        """Cancel what goes on, do this last of all, and end the thread. Safe to call from any thread, and twice."""
        with self._closing:
            if self._is_closed or self._process != os.getpid():  # in a fork there is no such thread
                farewell.close()
                return
            self._is_closed = True
        ending = asyncio.run_coroutine_threadsafe(self._end(farewell), self._loop)
        if threading.current_thread() is self._thread:  # it was forgotten, and garbage was looked for just here
            ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
            return
        try:
            ending.result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    # --- inside ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _counted(self, work: Coroutine[Any, Any, T], timeout: float | None) -> T:  # noqa: ASYNC109 - see `call`
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            async with asyncio.timeout(timeout) as limit:
                return await work
        except TimeoutError as error:
            if not limit.expired() or isinstance(error, CallTimedOut):
                raise
            raise CallTimedOut(
                f"No answer within {timeout:g} s, and the call was given up. Is the server there? nflow doctor"
            ) from None
        finally:
            self._calls.discard(task)

    async def _end(self, farewell: Coroutine[Any, Any, object]) -> None:
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await farewell

    def _forget(self, work: Coroutine[Any, Any, object]) -> None:
        """Have this done, and do not wait: garbage is looked for in any thread, that of the loop too."""
        if self._is_closed or self._process != os.getpid():
            work.close()
        else:
            asyncio.run_coroutine_threadsafe(work, self._loop)

    def _require_open(self) -> None:
        if self._process != os.getpid():
            raise UsageError("This client was opened by another process, before a fork. Open one in this process.")
        if self._is_closed:
            raise UsageError("This client is closed. Open another one.")
        if threading.current_thread() is self._thread:
            raise UsageError("A client cannot be called in the thread that serves it, which would wait for itself.")


class _Steps(Generic[T]):
    """One page after the other."""

    def __init__(self, pages: AsyncIterator[list[T]]) -> None:
        self._pages = pages
        self._step: asyncio.Task[Any] | None = None

    async def next(self) -> list[T]:
        """The next page; an empty one at the end."""
        self._step = asyncio.current_task()
        return await anext(self._pages, [])

    async def close(self) -> None:
        """Want nothing more. A step that was interrupted is over only when its task is."""
        if self._step is not None:
            self._step.cancel()
            await asyncio.wait([self._step])
        await self._pages.aclose()  # type: ignore[attr-defined]  # async generators, all of them
