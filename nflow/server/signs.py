"""Waiting for what the kernel can tell: a process ended, a file changed, somebody rang. Never by polling.

Linux tells by pidfd (5.3) and inotify, macOS by kqueue.
"""

import ctypes
import errno
import os
import select
import sys
import threading
from contextlib import suppress
from enum import Flag, auto
from pathlib import Path
from typing import Self

from nflow.errors import ServerError


class Sign(Flag):
    """What happened; nothing at all means that the time was up."""

    NOTHING = 0
    ENDED = auto()
    CHANGED = auto()
    RANG = auto()


class Bell:
    """Wakes whoever waits for it; may be rung by any thread and by a signal handler, and stays rung."""

    def __init__(self) -> None:
        self.fd, self._rope = os.pipe()
        os.set_blocking(self._rope, False)
        self._open = True
        self._guard = threading.RLock()  # a signal handler may ring while its own thread is ringing

    def ring(self) -> None:
        """Wake the one who waits, now or later."""
        with self._guard, suppress(BlockingIOError):
            if self._open:
                os.write(self._rope, b"!")

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it was rung within so many seconds."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def close(self) -> None:
        """Give its descriptors back, when nobody waits any more; ringing does nothing from now on."""
        with self._guard:
            if self._open:
                self._open = False
                os.close(self.fd)
                os.close(self._rope)


if sys.platform == "linux":
    IN_MODIFY, IN_CREATE = 0x2, 0x100
    PIDFD_OPEN = 434  # the same on every architecture: newer than the tables were united

    _libc = ctypes.CDLL(None, use_errno=True)

    def _checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    def _open_process(pid: int) -> int:
        """A descriptor that becomes readable when the process ends; -1 when there is no such process."""
        try:
            if hasattr(os, "pidfd_open"):
                return os.pidfd_open(pid)
            # Pythons built against old headers, such as conda's, lack the call though the kernel has it
            return _checked(_libc.syscall(PIDFD_OPEN, pid, 0))
        except ProcessLookupError:
            return -1
        except OSError as error:
            if error.errno == errno.ENOSYS:
                raise ServerError("nflow's own server needs Linux 5.3; set `server.url` to another one.") from error
            raise

    def _open_changes(path: Path) -> int:
        """A descriptor that becomes readable when a file grows, or a file in a folder does or comes to be."""
        fd = _checked(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        try:
            _checked(_libc.inotify_add_watch(fd, os.fsencode(path), IN_MODIFY | IN_CREATE))
        except OSError:
            os.close(fd)
            raise
        return fd

    class Signs:
        """Listens from the moment it is made: look at the world afterwards, and nothing is missed."""

        def __init__(self, *, pid: int | None = None, path: Path | None = None, bell: Bell | None = None) -> None:
            self._sign_of: dict[int, Sign] = {}
            self._poll = select.poll()
            self._process = self._changes = -1
            self._ended = False
            try:
                if pid is not None:
                    self.follow(pid)
                if path is not None:
                    self._changes = self._listen(_open_changes(path), Sign.CHANGED)
                if bell is not None:
                    self._listen(bell.fd, Sign.RANG)
            except BaseException:
                self.close()
                raise

        def follow(self, pid: int) -> None:
            """Listen for the end of this process from now on; once only."""
            fd = _open_process(pid)
            if fd < 0:
                self._ended = True
            else:
                self._process = self._listen(fd, Sign.ENDED)

        def _listen(self, fd: int, sign: Sign) -> int:
            self._sign_of[fd] = sign
            self._poll.register(fd, select.POLLIN)
            return fd

        def wait(self, timeout: float | None = None) -> Sign:
            """What happened since it was made, or happens within so many seconds."""
            if self._ended:
                return Sign.ENDED
            happened = Sign.NOTHING
            for fd, _ in self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000):
                happened |= self._sign_of[fd]
            if Sign.CHANGED in happened:
                os.read(self._changes, 65_536)  # which changes they were is not asked for
            return happened

        def close(self) -> None:
            """Listen no more."""
            if self._process >= 0:
                os.close(self._process)
            if self._changes >= 0:
                # The kernel takes 10 to 20 ms to close an inotify descriptor, which nobody need wait for.
                threading.Thread(target=os.close, args=(self._changes,), name="nflow-signs", daemon=True).start()
            self._process = self._changes = -1

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

else:

    class Signs:
        """Listens from the moment it is made: look at the world afterwards, and nothing is missed."""

        def __init__(self, *, pid: int | None = None, path: Path | None = None, bell: Bell | None = None) -> None:
            self._queue = select.kqueue()
            self._file = os.open(path, os.O_RDONLY) if path else -1
            self._ended = False
            if pid is not None:
                self.follow(pid)
            if path is not None:
                self._listen(self._file, select.KQ_FILTER_VNODE, select.KQ_NOTE_WRITE | select.KQ_NOTE_EXTEND)
            if bell is not None:
                self._listen(bell.fd, select.KQ_FILTER_READ, 0)

        def follow(self, pid: int) -> None:
            """Listen for the end of this process from now on; once only."""
            self._listen(pid, select.KQ_FILTER_PROC, select.KQ_NOTE_EXIT)

        def _listen(self, ident: int, kind: int, notes: int) -> None:
            try:
                self._queue.control([select.kevent(ident, kind, select.KQ_EV_ADD | select.KQ_EV_CLEAR, notes)], 0)
            except ProcessLookupError:
                self._ended = True

        def wait(self, timeout: float | None = None) -> Sign:
            """What happened since it was made, or happens within so many seconds."""
            if self._ended:
                return Sign.ENDED
            signs = {
                select.KQ_FILTER_PROC: Sign.ENDED,
                select.KQ_FILTER_VNODE: Sign.CHANGED,
                select.KQ_FILTER_READ: Sign.RANG,
            }
            happened = Sign.NOTHING
            for event in self._queue.control(None, 3, None if timeout is None else max(0.0, timeout)):
                happened |= signs[event.filter]
            return happened

        def close(self) -> None:
            """Listen no more."""
            self._queue.close()
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()
