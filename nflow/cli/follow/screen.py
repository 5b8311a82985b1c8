"""Where a run is shown: what its tasks write, what nflow has to say, and at the end how it went.

`Plain` is for files, pipes and other programs; on a terminal `nflow.cli.follow.lively` draws what moves below all that.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TextIO

from nflow.cli.console.streams import write
from nflow.cli.follow.summary import Part
from nflow.cli.follow.view import Frame
from nflow.wire.lines import Line


class Screen(Protocol):
    """Called from one thread, which may have to wait for a slow reader."""

    moves: bool  #: whether frames are drawn at all

    def showing(self) -> AbstractContextManager[object]:
        """Frames can be drawn while this lasts."""

    def draw(self, frame: Frame) -> None:
        """Show what is in flight now."""

    def lines(self, lines: Sequence[Line]) -> None:
        """Show what tasks wrote."""

    def note(self, text: str) -> None:
        """Show a remark of nflow's own."""

    def summary(self, parts: Iterable[Part]) -> None:
        """Show how the run ended."""


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
            write(stream, f"{text}\n", flush=stream is not following)

    def note(self, text: str) -> None:
        """Show a remark of nflow's own."""
        write(self._err, f"{text}\n")

    def summary(self, parts: Iterable[Part]) -> None:
        """Show how the run ended."""
        write(self._out, "".join(part.text for part in parts))


def screen(name: str, *, quiet: bool = False) -> Screen:
    """The screen for a run of workflow `name`, as lively as this process's output allows.

    Args:
        name: The workflow.
        quiet: Keep off stdout, which is for something else.
    """
    out, err = (sys.stderr, sys.stderr) if quiet else (sys.stdout, sys.stderr)
    if out.isatty() or err.isatty():
        from nflow.cli.follow.lively import lively  # noqa: PLC0415 - rich takes time to import, and is not needed elsewhere

        return lively(name, out, err) or Plain(out, err)
    return Plain(out, err)


def logged(line: Line) -> str:
    """A record of a task's log as a line of text."""
    return f"{line.level} {line.logger}: {line.text}"
