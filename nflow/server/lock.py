"""Locks between processes that no kill can leave behind: the kernel drops a flock with its last holder.

A flock belongs to the opening of the file, not to the process: a child that inherits the descriptor holds the lock as
well, and two openings in one process exclude each other like two processes.
"""

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from nflow.errors import ServerUnreachable


class Lock:
    """One opening of a lock file, which holds nothing yet. Closing it lets go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def is_open(self) -> bool:
        """Whether it was not closed yet."""
        return self.fd >= 0

    def try_exclusive(self) -> bool:
        """Take it for this holder alone, unless anybody else has it. A shared hold is lost when that fails."""
        return self._try(fcntl.LOCK_EX)

    def exclusive(self, timeout: float) -> Self:
        """Take it for this holder alone, and note who that is; wait for the others up to `timeout` seconds."""
        self._wait(fcntl.LOCK_EX, timeout)
        with suppress(OSError):  # a full disk: the note is for an error's message only
            os.pwrite(self.fd, f"{os.getpid():>10}\n".encode(), 0)
        return self

    def shared(self, timeout: float) -> Self:
        """Take it together with others; wait for an exclusive holder up to `timeout` seconds."""
        self._wait(fcntl.LOCK_SH, timeout)
        return self

    def close(self) -> None:
        """Let go. Safe to call twice."""
        if self.is_open:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, kind: int, timeout: float) -> None:
        if not self._try(kind) and not self._blocked(kind, timeout):
            holder = self.path.read_text().strip()
            self.close()  # should the abandoned call below ever succeed, the kernel drops its lock at once
            raise ServerUnreachable(
                f"Another nflow process{f' (pid {holder})' if holder else ''} has held {self.path} for {timeout:g} s. "
                "Wait for it or end it, then try again."
            )

    def _blocked(self, kind: int, timeout: float) -> bool:
        """Block until the lock is there. flock knows no time-out, so that a thread blocks and this one waits for it."""
        fd, taken = self.fd, threading.Event()

        def block() -> None:
            with suppress(OSError):
                fcntl.flock(fd, kind)
                taken.set()

        threading.Thread(target=block, name="nflow-lock", daemon=True).start()
        return taken.wait(timeout)
