"""What tasks print and log, line by line, from the pipes of a slot to the logs stream."""

import asyncio
import os
import select
import time
from collections.abc import Callable

from nflow.wire.lines import Line, pack_lines

#: A longer line is cut into several, so that a progress bar without an end does not grow for ever.
LONGEST_LINE_BYTES = 16 * 1024

_CHUNK_BYTES = 64 * 1024


class Pipe:
    """One of a slot's output pipes: bytes in, whole lines out."""

    def __init__(self, fd: int, stream: str) -> None:
        self.fd = fd
        self._stream = stream
        self._partial = b""
        os.set_blocking(fd, False)

    def read(self) -> list[Line] | None:
        """The lines that the next piece of output completes; None if there is no output now."""
        data = self._next_bytes()
        return self._cut(data) if data else None

    def flush(self) -> list[Line]:
        """What is left without its end of line, now that the task is over."""
        rest, self._partial = self._partial, b""
        return [self._line(rest)] if rest else []

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)

    def _next_bytes(self) -> bytes:
        try:
            return os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return b""

    def _cut(self, data: bytes) -> list[Line]:
        *whole, self._partial = (self._partial + data).split(b"\n")
        while len(self._partial) > LONGEST_LINE_BYTES:
            whole.append(self._partial[:LONGEST_LINE_BYTES])
            self._partial = self._partial[LONGEST_LINE_BYTES:]
        return [self._line(line) for line in whole]

    def _line(self, text: bytes) -> Line:
        return Line(at=time.time(), stream=self._stream, text=text.decode("utf-8", "replace").rstrip("\r"))


class Capture:
    """Sends the lines of whatever task the slot is running to where people look for them."""

    def __init__(self, out: Pipe, err: Pipe, publish: Callable[[str, bytes], None]) -> None:
        self._pipes = (out, err)
        self._publish = publish
        self._subject: str | None = None
        self._attempt = 0
        poll = select.poll()
        for pipe in self._pipes:
            poll.register(pipe.fd, select.POLLIN)
        self._ready = poll.poll

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take output as it comes."""
        self._loop = loop
        for pipe in self._pipes:
            loop.add_reader(pipe.fd, self._on_readable, pipe)

    def begin(self, subject: str, attempt: int) -> None:
        """From here on the lines belong to this attempt."""
        self._subject, self._attempt = subject, attempt

    def drain(self) -> None:
        """Send all that has been written so far."""
        if not self._ready(0):  # one look at both pipes: most tasks print nothing
            return
        for pipe in self._pipes:
            while (lines := pipe.read()) is not None:
                self._send(lines)

    def end(self) -> None:
        """The attempt is over: send all that it wrote, also a last line without its end."""
        self.drain()
        for pipe in self._pipes:
            self._send(pipe.flush())

    def log(self, level: str, logger: str, text: str) -> None:
        """Send a record of Python's logging, after what was printed before it."""
        self.drain()
        self._send([Line(at=time.time(), stream="log", text=text, level=level, logger=logger)])

    def close(self) -> None:
        """Take no more."""
        for pipe in self._pipes:
            self._loop.remove_reader(pipe.fd)
            pipe.close()

    def _on_readable(self, pipe: Pipe) -> None:
        # one piece at a time, so that a task that prints without end does not hold up the worker
        lines = pipe.read()
        if lines is None:
            self._loop.remove_reader(pipe.fd)  # readable and empty: the other end is closed
        else:
            self._send(lines)

    def _send(self, lines: list[Line]) -> None:
        if lines and self._subject is not None:
            self._publish(self._subject, pack_lines(lines, attempt=self._attempt))
