"""Noticing at once that the server died, so that somebody who is attached starts it again."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from nflow.server.folder import Folder
from nflow.server.signs import Bell, Sign, Signs

#: A server that lived longer than this did not die of being started.
WELL_SECONDS = 5.0
LONGEST_PAUSE = 5.0


class Watch:
    """Calls `on_death` from a thread of its own each time the server's process ends, until it is closed.

    A server that dies young again and again is reported with growing pauses, so that starting it is no busy loop.
    """

    def __init__(self, folder: Folder, on_death: Callable[[], object]) -> None:
        self._folder = folder
        self._on_death = on_death
        self._bell = Bell()
        self._thread = threading.Thread(target=self._run, name="nflow-server-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Watch no more; returns when a call under way has returned. Safe to call twice, and from `on_death`."""
        if self._thread.is_alive():
            self._bell.ring()
            if threading.current_thread() is not self._thread:
                self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._bell.close)
            dead: int | None = None
            pause = 0.0
            while not self._bell.wait(0):
                since = time.monotonic()
                pid = self._folder.pid()
                if pid is None or pid == dead:
                    self._await_another(dead)
                elif Sign.ENDED in self._end_of(pid):
                    dead = pid
                    lived = time.monotonic() - since
                    if not self._bell.wait(pause if lived < WELL_SECONDS else 0.0):
                        self._on_death()
                    pause = min(LONGEST_PAUSE, 2 * pause or 0.1) if lived < WELL_SECONDS else 0.0

    def _end_of(self, pid: int) -> Sign:
        with Signs(pid=pid, bell=self._bell) as signs:
            return signs.wait()

    def _await_another(self, dead: int | None) -> None:
        """Wait until something is written in the folder: a server that starts leaves its pid there."""
        with Signs(path=self._folder.path, bell=self._bell) as signs:
            if self._folder.pid() in (None, dead):
                signs.wait()
