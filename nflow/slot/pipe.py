"""The child's end of the pipe to its worker: requests come in, calls go out, one at a time."""

import os
import socket
import threading
from typing import Any

import nflow.errors
from nflow.errors import NflowError
from nflow.wire.frames import FrameReader, pack_frame

_CHUNK_BYTES = 256 * 1024


class WorkerGone(BaseException):
    """The worker has closed the pipe: there is nobody left to work for."""


class Pipe:
    """Frames to and from the worker. Threads may send at once; they take turns."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._process = os.getpid()
        self._frames = FrameReader()
        self._ready: list[list[Any]] = []
        self._sending = threading.Lock()

    @property
    def is_ours(self) -> bool:
        """Whether this process may use it: one that a task has forked would take what is meant for the task."""
        return os.getpid() == self._process

    def send(self, *parts: Any, unless: threading.Event | None = None) -> bool:
        """Send one frame, unless that event has happened; whether it was sent."""
        frame = pack_frame(*parts)
        with self._sending:
            if unless is not None and unless.is_set():
                return False
            self._sock.sendall(frame)
        return True

    def receive(self) -> list[Any]:
        """The next frame; waits for it."""
        while not self._ready:
            data = self._sock.recv(_CHUNK_BYTES)
            if not data:
                raise WorkerGone
            self._ready += self._frames.feed(data)
        return self._ready.pop(0)

    def close(self) -> None:
        """Close this end."""
        self._sock.close()


class Calls:
    """What one task asks of its run. Its threads may call at once; they take turns.

    Once it is closed it refuses all calls: a thread that a task has left behind must not speak for the next task, nor
    take the answers to it. What such a thread had asked before, the worker knows, and ends the process.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._turn = threading.Lock()
        self._count = 0
        self._over = threading.Event()

    def call(self, name: str, *arguments: Any) -> Any:
        """Ask the worker for something and wait for its answer.

        Raises:
            NflowError: of the class that the worker met; or the task is over, or this is a process that it has forked.
        """
        if not self._pipe.is_ours:
            raise NflowError(
                "`store`, `signal` and large values of `data` are for the process of the task itself, not for one that "
                "it has forked. Hand results back to the task, and let it use them."
            )
        with self._turn:
            self._count += 1
            if not self._pipe.send("call", self._count, name, *arguments, unless=self._over):
                raise NflowError(f"The task is over: '{name}' comes too late. Join your threads before the task ends.")
            while True:
                kind, number, error, value = self._pipe.receive()
                if kind == "reply" and number == self._count:
                    break
        if error is not None:
            raise getattr(nflow.errors, error, NflowError)(value)
        return value

    def close(self) -> None:
        """Let nobody call any more."""
        self._over.set()
