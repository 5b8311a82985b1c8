"""What tasks print and log, line by line, from the pipes of a slot to the logs stream."""

import asyncio
import os
import select
import time
from collections import deque
from collections.abc import Callable

from nflow.wire.lines import Line, pack_lines

#: A longer line is cut into several, so that a progress bar without an end does not grow for ever.
LONGEST_LINE_BYTES = 64 * 1024

#: A logged text is cut after so many characters: it travels in one message.
LONGEST_LOG = 64 * 1024

#: Lines of one message, so that thousands of short ones do not make one that is too large.
LINES_AT_ONCE = 1000

#: What is kept of a task's output for those who ask why it failed.
LAST_LINES = 50
LAST_LINE_CHARACTERS = 500

_CHUNK_BYTES = 64 * 1024  # as much as a pipe holds


class Pipe:
    """One of a slot's output pipes: bytes in, whole lines out."""

    def __init__(self, fd: int, stream: str) -> None:
        self.fd = fd
        self._stream = stream
        self._partial = b""
        os.set_blocking(fd, False)

    def read(self) -> list[Line] | None:
        """The lines that the next piece of output completes; None once the other end is closed."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return []
        return self._cut(data) if data else None

    def flush(self) -> list[Line]:
        """What is left without its end of line, now that the task is over."""
        rest, self._partial = self._partial, b""
        return [self._line(rest)] if rest else []

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)

    def _cut(self, data: bytes) -> list[Line]:
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LONGEST_LINE_BYTES:
            *cut, self._partial = _pieces(self._partial)
            whole += cut
        return [self._line(piece) for line in whole for piece in _pieces(line)]

    def _line(self, text: bytes) -> Line:
        return Line(at=time.time(), stream=self._stream, text=text.decode("utf-8", "replace").rstrip("\r"))


class Capture:
    """Sends the lines of whatever task the slot is running to where people look for them."""

    def __init__(self, out: Pipe, err: Pipe, publish: Callable[[str, bytes], None]) -> None:
        self._pipes: tuple[Pipe, ...] = (out, err)
        self._publish = publish
        self._subject: str | None = None
        self._attempt = 0
        self._last: deque[Line] = deque(maxlen=LAST_LINES)
        poll = select.poll()
        for pipe in self._pipes:
            poll.register(pipe.fd, select.POLLIN)
        self._ready = poll.poll

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The end of what the attempt has written so far."""
        return tuple(line.text[:LAST_LINE_CHARACTERS] for line in self._last)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take output as it comes."""
        self._loop = loop
        for pipe in self._pipes:
            loop.add_reader(pipe.fd, self._on_readable, pipe)

    def begin(self, subject: str, attempt: int) -> None:
        """From here on the lines belong to this attempt."""
        self._subject, self._attempt = subject, attempt
        self._last.clear()

    def drain(self) -> None:
        """Send all that has been written so far.

        One piece of each pipe is all that it held: what a process that the task has left behind goes on to write,
        perhaps without end, is not waited for.
        """
        if not self._ready(0):  # one look at both pipes: most tasks print nothing
            return
        for pipe in self._pipes:
            self._send(pipe.read() or [])

    def end(self) -> None:
        """The attempt is over: send all that it wrote, also a last line without its end."""
        self.drain()
        for pipe in self._pipes:
            self._send(pipe.flush())

    def log(self, level: str, logger: str, text: str) -> None:
        """Send a record of Python's logging, after what was printed before it."""
        self.drain()
        if len(text) > LONGEST_LOG:
            text = f"{text[:LONGEST_LOG]}… (cut: it has {len(text)} characters)"
        self._send([Line(at=time.time(), stream="log", text=text, level=level, logger=logger)])

    def close(self) -> None:
        """Take no more."""
        for pipe in self._pipes:
            self._loop.remove_reader(pipe.fd)
            pipe.close()
        self._pipes = ()  # their numbers may belong to other files by the time somebody drains

    def _on_readable(self, pipe: Pipe) -> None:
        # one piece at a time, so that a task that prints without end does not hold up the worker
        lines = pipe.read()
        if lines is None:
            self._loop.remove_reader(pipe.fd)
        else:
            self._send(lines)

    def _send(self, lines: list[Line]) -> None:
        if self._subject is None:
            return
        self._last.extend(lines)
        for start in range(0, len(lines), LINES_AT_ONCE):
            self._publish(self._subject, pack_lines(lines[start : start + LINES_AT_ONCE], attempt=self._attempt))


def _pieces(line: bytes) -> list[bytes]:
    """A line as it is, but for one that is too long."""
    if len(line) <= LONGEST_LINE_BYTES:
        return [line]
    return [line[start : start + LONGEST_LINE_BYTES] for start in range(0, len(line), LONGEST_LINE_BYTES)]
