"""Where a run is shown: what its tasks write, what nflow has to say, and at the end how it went.

`follow.plain` is for files, pipes and other programs; on a terminal `follow.lively` draws what moves below all that.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from nflow.cli.follow.plain import Plain
from nflow.cli.follow.summary import Part
from nflow.view.run import Frame
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
