"""Where tasks are played: each in a thread, never two of them at a time.

A task has the stage until it asks its run for something, and gets it back after those that came before it, once all
that its request has led to is done. So a workflow is played in the same order each time, and the code of its tasks need
not be safe among threads.
"""

import io
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Stage:
    """Who is on, who waits to go on, and what they print."""

    def __init__(self) -> None:
        self._printed: dict[str, io.StringIO] = defaultdict(io.StringIO)
        self._on: str | None = None
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._thread = threading.get_ident()

    def next_on(self) -> bool:
        """Let the next task go on if the stage is free; whether some task is on."""
        if self._on is None and self._waiting:
            self._on, go_on = self._waiting.popleft()
            go_on()
        return self._on is not None

    def enter(self, subject: str, go_on: Callable[[], None]) -> None:
        """Call `go_on` when the stage is free; what is printed then belongs to `subject`."""
        self._waiting.append((subject, go_on))

    def leave(self, subject: str) -> None:
        """The task waits for an answer, or is over."""
        if self._on == subject:
            self._on = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take what tasks print, meanwhile."""
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Output(self, stream) for stream in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before

    def output(self, otherwise: TextIO) -> TextIO:
        """Where the thread that asks is to write."""
        on = self._on
        return otherwise if on is None or threading.get_ident() == self._thread else self._printed[on]

    def printed_by(self, subject: str) -> str:
        """What the task has printed whose lines go there."""
        return self._printed[subject].getvalue()


class _Output(io.TextIOBase):
    """A standard stream; it has no file, so that programs which tasks start are not given the real one."""

    def __init__(self, stage: Stage, otherwise: TextIO) -> None:
        self._stage = stage
        self._otherwise = otherwise

    def write(self, text: str) -> int:
        """Write to the output of the task that is on."""
        return self._stage.output(self._otherwise).write(text)

    def flush(self) -> None:
        """Let it be seen."""
        self._stage.output(self._otherwise).flush()

    def writable(self) -> bool:
        """Always."""
        return True
