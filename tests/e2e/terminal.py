"""A program on a real terminal: tmux draws what it writes, and tells whenever that has changed."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from tests.e2e.news import PATIENCE


class Terminal:
    """One terminal in tmux, as a person sees it and types into it."""

    def __init__(self, socket: str, environment: Mapping[str, str]) -> None:
        self._tmux = ("tmux", "-L", socket, "-f", os.devnull)
        self._environment = environment
        self._changed = asyncio.Event()
        self._gone = False

    async def open(self, command: str, *, columns: int, lines: int) -> None:
        """Start tmux with this command in it; a control client hears of all that is written."""
        self._control = await asyncio.create_subprocess_exec(
            *(*self._tmux, "-C", "new-session", "-x", str(columns), "-y", str(lines), command),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 24,
        )
        self._reader = asyncio.ensure_future(self._read())

    async def shows(self, text: str, *, patience: float = PATIENCE) -> str:
        """The screen, once that is on it."""
        return await self.until(lambda screen: text in screen, patience=patience, what=text)

    async def shows_no_more(self, text: str) -> str:
        """The screen, once that is not on it."""
        return await self.until(lambda screen: text not in screen, what=f"no {text}")

    async def until(self, is_so: Callable[[str], bool], *, patience: float = PATIENCE, what: str = "it") -> str:
        """The screen, once it is so; it is looked at after every change."""
        screen = ""
        try:
            async with asyncio.timeout(patience):
                while True:
                    self._changed.clear()  # before the look: what changes from here on is looked at again
                    screen = await self.screen()
                    if is_so(screen):
                        return screen
                    assert not self._gone, f"it ended without showing {what}:\n{screen}"
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"it does not show {what}:\n{screen}") from None

    async def screen(self) -> str:
        """What is on it now."""
        return await self._call("capture-pane", "-p")

    async def styled_screen(self) -> str:
        """What is on it now, with its colours as escapes."""
        return await self._call("capture-pane", "-p", "-e")

    async def press(self, *keys: str) -> None:
        """Type these keys, by the names that tmux has for them."""
        await self._call("send-keys", *keys)

    async def resize(self, columns: int, lines: int) -> None:
        """Make it larger or smaller."""
        assert self._control.stdin is not None
        self._control.stdin.write(f"refresh-client -C {columns}x{lines}\n".encode())
        await self._control.stdin.drain()
        async with asyncio.timeout(PATIENCE):
            while True:
                self._changed.clear()
                if (await self._call("display-message", "-p", "#{pane_width}")).strip() == str(columns):
                    return
                await self._changed.wait()

    async def close(self) -> None:
        """End it, with what runs in it."""
        with suppress(AssertionError):
            await self._call("kill-server")
        await self._control.wait()
        await self._reader

    async def _call(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(*self._tmux, *command),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode(errors="replace")

    async def _read(self) -> None:
        assert self._control.stdout is not None
        while await self._control.stdout.readline():
            self._changed.set()
        self._gone = True
        self._changed.set()


@asynccontextmanager
async def terminal(
    command: str, environment: Mapping[str, str], *, columns: int = 80, lines: int = 24
) -> AsyncIterator[Terminal]:
    """A command on a terminal of that size, for as long as the `async with` lasts."""
    if shutil.which("tmux") is None:
        pytest.skip("no tmux: apt-get install tmux")
    opened = Terminal(f"nflow-test-{secrets.token_hex(4)}", environment)
    await opened.open(command, columns=columns, lines=lines)
    try:
        yield opened
    finally:
        await opened.close()
