"""The end of what an attempt writes that writes too much: the last of it, and a count of what had to go."""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

from nflow.wire.lines import Line

S = TypeVar("S")

#: Bytes that a piece costs beside what it holds, so that a million tiny ones are no more memory than a few large ones.
_PIECE_BYTES = 200


class Piece(NamedTuple, Generic[S]):
    """Something that was written: bytes from a pipe, or a record of a log, which came from none."""

    at: float
    source: S | None
    content: bytes | Line

    @property
    def size(self) -> int:
        """Bytes, or characters."""
        return len(self.content.text) if isinstance(self.content, Line) else len(self.content)

    @property
    def lines(self) -> int:
        """Lines that end in it."""
        return 1 if isinstance(self.content, Line) else self.content.count(b"\n")


class Tail(Generic[S]):
    """Keeps the last pieces, about `room` bytes of them."""

    def __init__(self, room: int) -> None:
        self.dropped_bytes = 0
        self.dropped_lines = 0
        self.room = room
        self._held = 0
        self._pieces: deque[Piece[S]] = deque()

    def add(self, piece: Piece[S]) -> None:
        """Keep one more; the oldest go for it."""
        self._pieces.append(piece)
        self._held += piece.size + _PIECE_BYTES
        while self._held - self._pieces[0].size - _PIECE_BYTES > self.room:
            gone = self._pieces.popleft()
            self._held -= gone.size + _PIECE_BYTES
            self.dropped_bytes += gone.size
            self.dropped_lines += gone.lines

    def pieces(self) -> deque[Piece[S]]:
        """What is left, in the order in which it was written."""
        return self._pieces
