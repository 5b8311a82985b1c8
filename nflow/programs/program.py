"""A program that runs: its streams, its end, and how it is ended with all that it has started.

One thread: all that can happen is waited for in one place, and lines are handed out there.
"""

import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from nflow.programs.ending import LAST_LINES, Ending
from nflow.programs.family import HAS_PIDFD, send_to_group
from nflow.programs.launch import Launch
from nflow.programs.lifeline import Lifeline
from nflow.programs.streams import Input, Output, Sink

#: However short a time between two looks users ask for, one core is not kept busy with it.
_SHORTEST_PAUSE = 0.005

#: The system waits for 24 days at most at a time.
_LONGEST_WAIT = 86400.0


class Ended(Enum):
    """Why a program is over."""

    BY_ITSELF = "by itself"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"


class StopSign(Protocol):
    """What tells whether a task is to stop. With a `fileno()` that becomes readable then, nobody needs to ask."""

    @property
    def is_stopped(self) -> bool:
        """Whether it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Those streams of a program that lead to us."""

    out: Output | None
    err: Output | None
    given: Input | None


class Program:
    """A process that was started in a process group of its own, from then until all is over.

    As a context manager: whatever is raised inside ends the process group.
    """

    def __init__(self, process: subprocess.Popen[bytes], lifeline: Lifeline, streams: Streams) -> None:
        self._process = process
        self._group = lifeline.group or process.pid
        self._lifeline = lifeline
        self._outputs = [output for output in (streams.out, streams.err) if output is not None]
        self._errors = streams.err
        self._given = streams.given
        self._begin = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._death = _death_of(process)
        self._is_alive = True
        self._is_stopped = False
        self._end: Ending | None = None
        self._last_line = math.inf  # when lines are handed out no more
        self._listen()

    @classmethod
    def start(cls, launch: Launch, *, out: Sink, err: Sink, given: bytes | None, of: str) -> Self:
        """Start it. Without anything given it reads an empty file, never the terminal.

        Raises:
            ProgramNotStarted: naming `of`, the task, and what to mend.
        """
        with ExitStack() as undo:
            lifeline = Lifeline()
            undo.callback(lifeline.close)
            process = launch.start(
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=out.target(),
                stderr=err.target(),
                inherited=[lifeline.theirs],
                process_group=lifeline.group,
                of=of,
            )
            undo.callback(process.wait)
            undo.callback(send_to_group, lifeline.group or process.pid, signal.SIGKILL)
            streams = Streams(
                out=None if process.stdout is None else out.output(process.stdout),
                err=None if process.stderr is None else err.output(process.stderr),
                given=None if process.stdin is None else Input(process.stdin, given or b""),
            )
            program = cls(process, lifeline, streams)
            undo.pop_all()
        return program

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def returncode(self) -> int:
        """The exit code, or -N where signal N ended it."""
        code = self._process.poll()
        return -signal.SIGKILL if code is None else code  # None: it hangs in the system, and dies when that lets it

    @property
    def last_words(self) -> str:
        """The end of its stderr, if that was read."""
        return "" if self._errors is None else self._errors.last_words

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._end_silently()
        finally:
            self._release()

    def follow(self, stop: StopSign, *, pause: float, timeout: float | None = None) -> Ended:
        """Wait until the program has ended and all that it wrote is handed out, or end it before.

        Of one that is ended before, lines are handed out for some seconds more.

        What it leaves in the background is waited for as long as it holds a stream that is read here.

        Args:
            stop: Ends it.
            pause: So often `stop` is looked at, if it cannot tell by itself.
            timeout: Seconds since the start, after which it is ended.
        """
        asked = None if self._hear(stop) else stop
        due = None if timeout is None else self._begin + timeout
        why = Ended.BY_ITSELF
        while not self._is_over():
            if why is Ended.BY_ITSELF:
                why = self._whether_to_end(asked, due)
            if why is Ended.BY_ITSELF:
                self._turn(due, None if asked is None else time.monotonic() + max(pause, _SHORTEST_PAUSE))
            else:
                self._begin_end()
                self._turn()
        return why

    def _whether_to_end(self, asked: StopSign | None, due: float | None) -> Ended:
        if self._is_stopped or (asked is not None and asked.is_stopped):
            return Ended.STOPPED
        if due is not None and time.monotonic() >= due:
            return Ended.TIMED_OUT
        return Ended.BY_ITSELF

    def _turn(self, *moments: float | None) -> None:
        """Wait for something to happen, at most until the first of these moments, and see to it."""
        for key, _ in self._selector.select(self._patience(*moments)):
            see_to_it: Callable[[], object] = key.data
            see_to_it()
        if self._end is not None:
            self._end.go_on()
            if self._end.is_over:
                self._read_rest()
        for output in self._outputs:
            if time.monotonic() > self._last_line:
                output.drop_lines()
            output.hand_out()

    def _patience(self, *moments: float | None) -> float | None:
        if any(output.has_lines for output in self._outputs):
            return 0
        known = [moment for moment in (*moments, None if self._end is None else self._end.due) if moment is not None]
        return min(max(min(known) - time.monotonic(), 0), _LONGEST_WAIT) if known else None

    def _is_over(self) -> bool:
        is_ended = not self._is_alive if self._end is None else self._end.is_over
        return is_ended and not any(output.is_open or output.has_lines for output in self._outputs)

    def _begin_end(self) -> None:
        if self._end is None:
            # Whoever takes lines may be slow: a program that has to end must not go on for all that it has written.
            self._last_line = time.monotonic() + LAST_LINES
            self._end = Ending(self.pid, self._group, self._lifeline, self._selector, self._has_died)

    def _end_silently(self) -> None:
        """End it. What it still writes is nobody's business, but it must not have to wait for somebody to read it."""
        for output in self._outputs:
            output.be_silent()
        self._begin_end()
        while not self._is_over():
            self._turn()

    def _has_died(self) -> bool:
        return not self._is_alive

    def _read_rest(self) -> None:
        for output in self._outputs:
            if output.is_open:
                self._selector.unregister(output)
                output.read_rest()

    def _listen(self) -> None:
        self._selector.register(self._death, selectors.EVENT_READ, self._bury)
        for output in self._outputs:
            self._selector.register(output, selectors.EVENT_READ, lambda output=output: self._read(output))
        if self._given is not None:
            self._selector.register(self._given, selectors.EVENT_WRITE, self._write)

    def _hear(self, stop: StopSign) -> bool:
        """Let `stop` wake us, if it can."""
        try:
            fd = getattr(stop, "fileno")()  # noqa: B009 - users' own signals, in their tests, may lack it
            if not isinstance(fd, int):
                return False
            self._selector.register(fd, selectors.EVENT_READ, lambda: self._stop(fd))
        except (AttributeError, TypeError, ValueError, OSError):
            return False
        return True

    def _stop(self, fd: int) -> None:
        self._selector.unregister(fd)
        self._is_stopped = True

    def _bury(self) -> None:
        self._selector.unregister(self._death)
        self._is_alive = False

    def _read(self, output: Output) -> None:
        fd = output.fileno()
        output.read()
        if not output.is_open:
            self._selector.unregister(fd)

    def _write(self) -> None:
        assert self._given is not None
        fd = self._given.fileno()
        if not self._given.write():
            self._selector.unregister(fd)

    def _release(self) -> None:
        if self._is_alive:  # whoever was to end it was interrupted: a second Ctrl-C, or no more files to be had
            send_to_group(self._group, signal.SIGKILL)
        if self._end is not None:
            self._end.close()
        self._selector.close()
        os.close(self._death)
        for output in self._outputs:
            output.close()
        if self._given is not None:
            self._given.close()
        self._process.poll()  # it is buried here, and not before: nobody else was to get its number
        self._lifeline.close()


def _death_of(process: subprocess.Popen[bytes]) -> int:
    """A file descriptor that is readable once the process has ended."""
    if HAS_PIDFD:
        return os.pidfd_open(process.pid)
    return death_by_thread(process)


def death_by_thread(process: subprocess.Popen[bytes]) -> int:
    """The same where the system has no such thing: a pipe that closes."""
    ours, theirs = os.pipe()

    def wait() -> None:
        process.wait()
        os.close(theirs)

    threading.Thread(target=wait, daemon=True).start()
    return ours
