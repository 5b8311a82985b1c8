"""A screen that moves nothing, for files, pipes and other programs: lines, one after the other."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from nflow.cli.console.streams import write
from nflow.cli.follow.summary import Part
from nflow.view.run import Frame
from nflow.wire.lines import Line, readable


class Plain:
    """Lines as they are: the tasks' output and the summary to one stream; their errors, logs and notes to another."""

    moves = False

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err

    def showing(self) -> AbstractContextManager[object]:
        """Nothing is drawn."""
        return nullcontext()

    def draw(self, frame: Frame) -> None:
        """Nothing is drawn."""

    def lines(self, lines: Sequence[Line]) -> None:
        """Show what tasks wrote, in the order in which it came."""
        streams = [self._out if line.stream == "out" else self._err for line in lines]
        for line, stream, following in zip(lines, streams, [*streams[1:], None], strict=True):
            text = logged(line) if line.stream == "log" else line.text
            write(stream, f"{readable(text)}\n", flush=stream is not following)

    def note(self, text: str) -> None:
        """Show a remark of nflow's own."""
        write(self._err, f"{text}\n")

    def summary(self, parts: Iterable[Part]) -> None:
        """Show how the run ended."""
        write(self._out, "".join(part.text for part in parts))


def logged(line: Line) -> str:
    """A record of a task's log as a line of text."""
    return f"{line.level} {line.logger}: {line.text}"
