"""Commands as a person starts them, and processes as the kernel knows them."""

import asyncio
import signal
import time
from contextlib import suppress

from nflow.server.signs import Sign, Signs
from tests.e2e.news import PATIENCE, News


class Process:
    """A command that was started, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process, command: str) -> None:
        self.command = command
        self.out: list[str] = []
        self.err: list[str] = []
        self._process = process
        self._news = News()
        assert process.stdout
        assert process.stderr
        self._readers = [
            asyncio.ensure_future(self._read(process.stdout, self.out)),
            asyncio.ensure_future(self._read(process.stderr, self.err)),
        ]
        for reader in self._readers:
            reader.add_done_callback(lambda _: self._news.tell())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return all(reader.done() for reader in self._readers)

    @property
    def story(self) -> str:
        """What can be told of it when a test fails."""
        title = f"--- nflow {self.command}: exit code {self._process.returncode}"
        return "\n".join([title, *self.out[-30:], *self.err[-30:]])

    async def until_says(self, text: str, *, times: int = 1) -> None:
        """Return when so many lines with `text` have come, on any of its outputs."""
        await self._news.until(lambda: self.ended or self._says(text) >= times)
        assert self._says(text) >= times, f"it ended without saying {text!r}:\n{self.story}"

    async def first_line(self) -> str:
        await self._news.until(lambda: self.ended or bool(self.out))
        assert self.out, f"it ended without a word:\n{self.story}"
        return self.out[0]

    async def gone(self) -> None:
        """Return when it has ended, however long that takes."""
        await self._process.wait()

    async def end(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has ended and all that it wrote was read."""
        async with asyncio.timeout(patience):
            await asyncio.wait(self._readers)
            return await self._process.wait()

    def send(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signum)

    async def kill(self) -> float:
        """Kill it without a warning; when that was."""
        at = time.time()
        self.send(signal.SIGKILL)
        await self.end()
        return at

    def _says(self, text: str) -> int:
        return sum(text in line for line in (*self.out, *self.err))

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            lines.append(line.decode(errors="replace").rstrip("\n"))
            self._news.tell()


def has_ended(pid: int, patience: float = 5.0) -> bool:
    """Whether a process is gone after so many seconds at the latest."""
    with Signs(pid=pid) as signs:
        return Sign.ENDED in signs.wait(patience)
