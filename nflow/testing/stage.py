"""Where tasks are played: each in a thread, never two of them at a time.

A task has the stage until it asks its run for something, and gets it back after those that came before it, once all
that its request has led to is done. So a workflow is played in the same order each time, and the code of its tasks need
not be safe among threads.
"""

import io
import os
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Self, TextIO

from nflow.testing.output import Output, logged, nothing_to_read


class Stage:
    """Who is on, who waits to go on, and what they print."""

    def __init__(self) -> None:
        self._printed: dict[str, io.BytesIO] = defaultdict(io.BytesIO)
        self._on: str | None = None
        self._last: str | None = None
        self._waiting: deque[tuple[str, Callable[[], None]]] = deque()
        self._earlier: frozenset[threading.Thread] = frozenset()
        self._bare = _Props.now()
        self._props: dict[str, _Props] = {}

    def next_on(self) -> bool:
        """Let the next task go on if the stage is free; whether some task is on."""
        if self._on is None and self._waiting:
            self._on, go_on = self._waiting.popleft()
            self._last = self._on
            if props := self._props.pop(self._on, None):
                props.put_up()
            go_on()
        return self._on is not None

    def enter(self, subject: str, go_on: Callable[[], None]) -> None:
        """Call `go_on` when the stage is free; what is printed then belongs to `subject`."""
        self._waiting.append((subject, go_on))

    def leave(self, subject: str) -> None:
        """The task waits for an answer, or is over; the next one finds nothing of what it has changed."""
        if self._on != subject:
            return
        self._on = None
        props = _Props.now()
        if props != self._bare:
            self._props[subject] = props
            self._bare.put_up()

    def end(self, subject: str) -> None:
        """The task is over."""
        self.leave(subject)
        self._props.pop(subject, None)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take what tasks print and log, meanwhile."""
        self._earlier = frozenset(threading.enumerate())
        before = _Props.now()
        out, err = Output("stdout", self._place), Output("stderr", self._place)
        self._bare = replace(before, stdin=nothing_to_read(), stdout=out, stderr=err)
        self._bare.put_up()
        try:
            with logged(self._place):
                yield
        finally:
            self._on = self._last = None
            before.put_up()

    def printed_by(self, subject: str) -> str:
        """What the task has printed whose lines go there."""
        printed = self._printed.get(subject)
        return "" if printed is None else printed.getvalue().decode(errors="replace")

    def _place(self) -> io.BytesIO | None:
        """Where the calling thread is to write. Any that is not older than the play has been started by a task."""
        if self._last is None or threading.current_thread() in self._earlier:
            return None
        return self._printed[self._last]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Props:
    """What a process has once, and a task in a slot for itself."""

    folder: str  #: the working directory; empty when it is gone
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO

    @classmethod
    def now(cls) -> Self:
        """Those that stand at present."""
        folder = ""
        with suppress(OSError):
            folder = os.getcwd()  # noqa: PTH109 - looked at for every task
        return cls(folder=folder, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)

    def put_up(self) -> None:
        """Let them stand again."""
        sys.stdin, sys.stdout, sys.stderr = self.stdin, self.stdout, self.stderr
        if self.folder:
            with suppress(OSError):
                os.chdir(self.folder)
