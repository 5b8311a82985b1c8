"""Lines on their way out, in a thread: a terminal that is paused must not hold up what keeps the connection."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from nflow.cli.console.streams import write


class Part(NamedTuple):
    """A piece of a line, and how it looks where there are colours."""

    text: str
    style: str = ""


Row = Sequence[Part]


class Output:
    """Stdout, with colours on a terminal."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "nflow-screen")
        self._colours = sys.stdout.isatty()
        self._raw = sys.stdout.buffer

    async def rows(self, rows: Iterable[Row]) -> None:
        """Write lines, each made of parts that hold nothing a terminal would obey."""
        shown = list(rows)
        await self._in_thread(self._write_colours if self._colours else self._write_plain, shown)

    async def texts(self, texts: Iterable[str]) -> None:
        """Write lines as they are."""
        await self._in_thread(write, sys.stdout, "".join(f"{text}\n" for text in texts))

    async def raw(self, data: bytes) -> None:
        """Write bytes as they are, to a program or a file."""
        await self._in_thread(self._write_bytes, data)

    def close(self) -> None:
        """Write no more than what is on its way."""
        self._thread.shutdown(wait=False)

    async def _in_thread(self, call: Callable[..., object], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _write_plain(self, rows: Sequence[Row]) -> None:
        write(sys.stdout, "".join("".join(part.text for part in row) + "\n" for row in rows))

    def _write_colours(self, rows: Sequence[Row]) -> None:
        from rich.console import Console  # noqa: PLC0415 - takes time to import, and only terminals need it
        from rich.segment import Segment, Segments  # noqa: PLC0415
        from rich.style import Style  # noqa: PLC0415

        console = Console(highlight=False, markup=False, emoji=False)
        segments = [
            Segment(part.text, Style.parse(part.style) if part.style else None)
            for row in rows
            for part in (*row, Part("\n"))
        ]
        console.print(Segments(segments), end="", soft_wrap=True)

    def _write_bytes(self, data: bytes) -> None:
        sys.stdout.flush()
        self._raw.write(data)
        self._raw.flush()
