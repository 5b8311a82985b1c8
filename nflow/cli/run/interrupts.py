"""What Ctrl-C means while a run is followed."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nflow.cli.edge import INTERRUPTED


class Interrupts:
    """The first Ctrl-C does what is set for it, the second cancels the task that follows, the third ends all at once.

    SIGTERM, and the end of the terminal, count as a second one: nobody is there any more who could press again.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: Callable[[], None] | None = None
        self._main: asyncio.Task[object] | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals while this lasts; cancels the task that calls it."""
        loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        # nohup makes a process ignore SIGHUP, and is to be obeyed
        kinds = [kind for kind in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(kind) is signal.SIG_DFL]
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt)
        for kind in kinds:
            loop.add_signal_handler(kind, self._on_end)
        try:
            yield
        finally:
            for kind in (signal.SIGINT, *kinds):
                loop.remove_signal_handler(kind)

    @contextmanager
    def first(self, action: Callable[[], None]) -> Iterator[None]:
        """Let the first Ctrl-C do this while it lasts, instead of cancelling."""
        self._first = action
        try:
            yield
        finally:
            self._first = None

    def _on_interrupt(self) -> None:
        self.count += 1
        if self.count == 1 and self._first is not None:
            self._first()
        elif self.count <= 2:
            self._cancel()
        else:
            os._exit(INTERRUPTED)  # the kernel ends the slots; what they did is taken over

    def _on_end(self) -> None:
        self.count = max(self.count + 1, 2)
        self._cancel() if self.count == 2 else os._exit(INTERRUPTED)

    def _cancel(self) -> None:
        assert self._main is not None
        if not self._main.cancelling():  # a second cancel would cut short how the first one tidies up
            self._main.cancel()
