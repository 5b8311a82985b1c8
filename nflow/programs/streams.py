"""The streams of a program, from our side: what it writes, line by line, and what it is given to read.

Nothing here waits: each is to be called when its file descriptor is ready.
"""

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TextIO

_CHUNK_BYTES = 256 * 1024

#: The largest pipe that Linux lets users have: more than so much is in none when its last writer is gone.
_LARGEST_PIPE_BYTES = 1024 * 1024

#: For so long lines are handed out before something else has its turn: whoever takes them may be slow.
_TURN = 0.05

#: So much of the end of a stream is remembered, for a message.
_LAST_WORDS_BYTES = 2_000


class Output:
    r"""What a program writes to one stream.

    Args:
        pipe: The end of the pipe to read from; closed here.
        file: Takes the bytes as they are.
        each_line: Takes each line as text, with its newline; the last one may be without. Bytes that are not UTF-8 are
            written as `\xff`.
    """

    def __init__(
        self, pipe: IO[bytes], *, file: IO[bytes] | None = None, each_line: Callable[[str], object] | None = None
    ) -> None:
        self._pipe = pipe
        self._file = file
        self._each_line = each_line
        self._lines: deque[str] = deque()
        self._partial: list[bytes] = []
        self._end = b""
        os.set_blocking(pipe.fileno(), False)

    def fileno(self) -> int:
        """What to wait for; then call `read`."""
        return self._pipe.fileno()

    @property
    def is_open(self) -> bool:
        """Whether there may be more to read."""
        return not self._pipe.closed

    @property
    def has_lines(self) -> bool:
        """Whether lines wait to be handed out."""
        return bool(self._lines)

    @property
    def last_words(self) -> str:
        """The end of what was written."""
        return self._end.decode(errors="backslashreplace").strip()

    def read(self) -> int:
        """Take in a piece of what is there, unless lines still wait to be handed out; how many bytes it was."""
        if self._lines:
            return 0  # whoever takes the lines is slow, so the program is made to wait
        try:
            chunk = os.read(self._pipe.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return 0
        if chunk:
            self._take(chunk)
        else:
            self.close()
        return len(chunk)

    def read_rest(self) -> None:
        """Take in all that is there now: nobody whose words count can write any more. Then close."""
        rest = _LARGEST_PIPE_BYTES  # some daemon that nobody knows of may write on and on
        waiting, self._lines = self._lines, deque()
        while self.is_open and rest > 0 and (count := self.read()):
            rest -= count
            waiting += self._lines
            self._lines.clear()
        self._lines = waiting + self._lines
        self.close()

    def hand_out(self) -> None:
        """Hand out lines, but not for long: call it again while there are some."""
        turn_ends = time.monotonic() + _TURN
        while self._lines:
            line = self._lines.popleft()
            if self._each_line is not None:
                self._each_line(line)
            if time.monotonic() > turn_ends:
                return

    def drop_lines(self) -> None:
        """From now on hand out no line; the file goes on."""
        self._each_line = None
        self._lines.clear()
        self._partial.clear()

    def be_silent(self) -> None:
        """From now on hand out nothing, and read only so that the program need not wait."""
        self.drop_lines()
        self._file = None

    def close(self) -> None:
        """Read no more; the last line is now complete."""
        if self._partial:
            self._lines.append(_text(b"".join(self._partial)))
            self._partial.clear()
        self._pipe.close()

    def _take(self, chunk: bytes) -> None:
        self._end = (self._end + chunk)[-_LAST_WORDS_BYTES:]
        if self._file is not None:
            self._file.write(chunk)
        if self._each_line is not None:
            self._split(chunk)

    def _split(self, chunk: bytes) -> None:
        complete, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            self._partial.append(rest)
            return
        text = _text(b"".join([*self._partial, complete]))
        self._lines.extend(line + "\n" for line in text.split("\n"))
        self._partial = [rest] if rest else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """Where one stream of a program goes: to those who take it, else to where this process itself writes."""

    ours: TextIO | None  #: as `sys.stdout` is now
    file: IO[bytes] | None = None
    each_line: Callable[[str], object] | None = None
    is_read: bool = False  #: read it even if nobody takes it

    def target(self) -> int:
        """What the program is to be started with."""
        if self.file is not None or self.each_line is not None or self.is_read:
            return subprocess.PIPE
        if self.ours is None:
            return subprocess.DEVNULL
        try:
            self.ours.flush()  # what was printed before the program comes before it
            return self.ours.fileno()
        except (OSError, ValueError, AttributeError):  # such as that of a test which captures what is printed
            return subprocess.PIPE

    def output(self, pipe: IO[bytes]) -> Output:
        """The program's stream, where a pipe leads to us."""
        is_taken = self.file is not None or self.each_line is not None
        each_line = self.ours.write if self.ours is not None and not is_taken else self.each_line
        return Output(pipe, file=self.file, each_line=each_line)


class Input:
    """What a program is given to read, of any size; then its end."""

    def __init__(self, pipe: IO[bytes], content: bytes) -> None:
        self._pipe = pipe
        self._rest = memoryview(content)
        os.set_blocking(pipe.fileno(), False)

    def fileno(self) -> int:
        """What to wait for; then call `write`."""
        return self._pipe.fileno()

    @property
    def is_open(self) -> bool:
        """Whether there is more to write."""
        return not self._pipe.closed

    def write(self) -> bool:
        """Give as much as is taken now; whether there is more. A program need not read what it is given."""
        try:
            self._rest = self._rest[os.write(self._pipe.fileno(), self._rest[:_CHUNK_BYTES]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self._rest = self._rest[:0]
        if not self._rest:
            self.close()
        return self.is_open

    def close(self) -> None:
        """Give no more."""
        self._pipe.close()


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
