"""What tasks print and log, line by line, from the pipes of a slot to the logs stream.

Of an attempt that writes without end, the beginning and the end are kept; what was left out in between is counted, and
told in its place.
"""

import asyncio
import itertools
import os
import secrets
import select
import time
from collections import deque
from collections.abc import Callable

from nflow.wire.lines import Line, pack_lines, readable
from nflow.worker.tail import Piece, Tail

#: A longer line is cut into several, so that a progress bar without an end does not grow for ever.
LONGEST_LINE_BYTES = 64 * 1024

#: A logged text is cut after so many characters: it travels in one message.
LONGEST_LOG = 64 * 1024

#: Lines of one message, so that thousands of short ones do not make one that is too large.
LINES_AT_ONCE = 1000

#: What is kept of a task's output for those who ask why it failed.
LAST_LINES = 50
LAST_LINE_CHARACTERS = 500

#: What is kept of the output of one attempt, unless its worker is told otherwise.
MOST_BYTES = 16 * 1024**2

_END_SHARE = 16  # one part in so many is the end of it; the worker holds that in memory
_FIRST_WORD = 64 * 1024**2  # bytes left out after which whoever follows is told so; then after twice as many, ...
_CHUNK_BYTES = 64 * 1024  # as much as a pipe holds


class Pipe:
    """One of a slot's output pipes: bytes in, whole lines out."""

    def __init__(self, fd: int, stream: str) -> None:
        self.fd = fd
        self._stream = stream
        self._partial = b""
        os.set_blocking(fd, False)

    def read(self) -> bytes | None:
        """The next piece of output; None once the other end is closed."""
        try:
            return os.read(self.fd, _CHUNK_BYTES) or None
        except BlockingIOError:
            return b""

    def cut(self, data: bytes, at: float) -> list[Line]:
        """The lines that a piece of output completes."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        lines = [line for each in whole for line in self._lines(each, "\n", at)]
        if len(self._partial) > LONGEST_LINE_BYTES:
            *cut, self._partial = _pieces(self._partial)
            lines += [self._line(each, "", at) for each in cut]
        return lines

    def flush(self, at: float) -> list[Line]:
        """What is left without its end of line, now that the task is over."""
        rest, self._partial = self._partial, b""
        return self._lines(rest, "", at) if rest else []

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)

    def _lines(self, text: bytes, end: str, at: float) -> list[Line]:
        if len(text) <= LONGEST_LINE_BYTES:
            return [self._line(text, end, at)]
        *cut, last = _pieces(text)
        return [*(self._line(each, "", at) for each in cut), self._line(last, end, at)]

    def _line(self, text: bytes, end: str, at: float) -> Line:
        if end and text.endswith(b"\r"):
            text, end = text[:-1], "\r\n"
        return Line(at=at, stream=self._stream, text=text.decode("utf-8", "surrogateescape"), end=end)


class Capture:
    """Sends the lines of whatever task the slot is running to where people look for them."""

    def __init__(self, out: Pipe, err: Pipe, publish: Callable[[str, bytes], None], most: int = MOST_BYTES) -> None:
        """Make one for the output of a slot.

        Args:
            out: What is printed.
            err: The same on stderr.
            publish: Sends a message.
            most: Bytes of one attempt that are kept.
        """
        self._pipes: tuple[Pipe, ...] = (out, err)
        self._publish = publish
        self._most = most
        self._subject: str | None = None
        self._attempt = 0
        self._room = 0  #: bytes until no more than the end is kept
        self._tail: Tail[Pipe] | None = None
        self._next_word = 0
        self._sender = ""  #: of this execution; with the number, it tells what was sent twice, and what is missing
        self._numbers = itertools.count(1)
        self._last: deque[Line] = deque(maxlen=LAST_LINES)
        poll = select.poll()
        for pipe in self._pipes:
            poll.register(pipe.fd, select.POLLIN)
        self._ready = poll.poll

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The end of what the attempt has written, as text that can be shown."""
        return tuple(readable(line.text[:LAST_LINE_CHARACTERS]) for line in self._last)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take output as it comes."""
        self._loop = loop
        for pipe in self._pipes:
            loop.add_reader(pipe.fd, self._on_readable, pipe)

    def begin(self, subject: str, attempt: int) -> None:
        """From here on the lines belong to this attempt."""
        self.end()  # what a process that the last task has left behind says late, is not this one's
        self._subject, self._attempt = subject, attempt
        self._sender, self._numbers = secrets.token_hex(4), itertools.count(1)
        self._room = self._most - self._most // _END_SHARE
        self._tail = None
        self._last.clear()

    def drain(self) -> None:
        """Send all that has been written so far.

        One piece of each pipe is all that it held: what a process that the task has left behind goes on to write,
        perhaps without end, is not waited for.
        """
        if not self._ready(0):  # one look at both pipes: most tasks print nothing
            return
        for pipe in self._pipes:
            self._take(pipe, pipe.read() or b"")

    def end(self) -> None:
        """The attempt is over: send all that it wrote, also a last line without its end."""
        self.drain()
        self._send_tail()
        self._flush()

    def log(self, level: str, logger: str, text: str) -> None:
        """Send a record of Python's logging, after what was printed before it."""
        self.drain()
        if len(text) > LONGEST_LOG:
            text = f"{text[:LONGEST_LOG]}… (cut: it has {len(text)} characters)"
        line = Line(at=time.time(), stream="log", text=text, level=level, logger=logger)
        if self._tail is not None:
            self._keep(self._tail, Piece(line.at, None, line))
        else:
            self._send([line])
            self._spend(len(text))

    def close(self) -> None:
        """Take no more."""
        for pipe in self._pipes:
            self._loop.remove_reader(pipe.fd)
            pipe.close()
        self._pipes = ()  # their numbers may belong to other files by the time somebody drains

    def _on_readable(self, pipe: Pipe) -> None:
        # one piece at a time, so that a task that prints without end does not hold up the worker
        data = pipe.read()
        if data is None:
            self._loop.remove_reader(pipe.fd)
        else:
            self._take(pipe, data)

    def _take(self, pipe: Pipe, data: bytes) -> None:
        if not data:
            return
        if self._tail is not None:
            self._keep(self._tail, Piece(time.time(), pipe, data))
        else:
            self._send(pipe.cut(data, time.time()))
            self._spend(len(data))

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0 and self._subject is not None:
            self._tail = Tail(self._most // _END_SHARE)
            self._next_word = _FIRST_WORD
            self._note(
                f"it has written {_size(self._most - self._tail.room)}: of the rest no more than the last "
                f"{_size(self._tail.room)} are kept, and shown when this attempt is over"
            )

    def _keep(self, tail: Tail[Pipe], piece: Piece[Pipe]) -> None:
        tail.add(piece)
        if tail.dropped_bytes >= self._next_word:
            self._next_word *= 2
            self._note(f"{_size(tail.dropped_bytes)} are left out so far")

    def _send_tail(self) -> None:
        """Send what was kept of the end, behind a word of what is missing before it."""
        tail, self._tail = self._tail, None
        if tail is None:
            return
        if tail.dropped_bytes:
            self._flush()  # lines that were begun, and whose ends are gone
            self._note(f"{tail.dropped_lines} lines ({tail.dropped_bytes} bytes) are left out here")
        for at, pipe, content in tail.pieces():
            if isinstance(content, Line):
                self._send([content])
            elif pipe is not None:
                self._send(pipe.cut(content, at))

    def _flush(self) -> None:
        now = time.time()
        for pipe in self._pipes:
            self._send(pipe.flush(now))

    def _note(self, text: str) -> None:
        self._send([Line(at=time.time(), stream="log", text=text, level="WARNING", logger="nflow")])

    def _send(self, lines: list[Line]) -> None:
        if self._subject is None:
            return
        self._last.extend(lines)
        for start in range(0, len(lines), LINES_AT_ONCE):
            some, number = lines[start : start + LINES_AT_ONCE], next(self._numbers)
            self._publish(self._subject, pack_lines(some, attempt=self._attempt, sender=self._sender, number=number))


def _pieces(line: bytes) -> list[bytes]:
    """A line that is too long, cut between characters where it is text."""
    pieces = []
    start = 0
    while len(line) - start > LONGEST_LINE_BYTES:
        end = start + LONGEST_LINE_BYTES
        while end > start + LONGEST_LINE_BYTES - 4 and line[end] & 0xC0 == 0x80:  # the middle of a character in UTF-8
            end -= 1
        pieces.append(line[start:end])
        start = end
    return [*pieces, line[start:]]


def _size(size: int) -> str:
    return f"{size / 1024**2:.3g} MiB" if size >= 1024**2 else f"{size / 1024:.3g} KiB"
