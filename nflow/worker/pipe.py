"""The child's end of the pipe to its worker: requests come in, calls go out, one at a time."""

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
    """Frames to and from the worker. Threads of a task may call at once; they take turns."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = FrameReader()
        self._ready: list[list[Any]] = []
        self._calls = 0
        self._turn = threading.Lock()

    def send(self, *parts: Any) -> None:
        """Send one frame."""
        self._sock.sendall(pack_frame(*parts))

    def receive(self) -> list[Any]:
        """The next frame; waits for it."""
        while not self._ready:
            data = self._sock.recv(_CHUNK_BYTES)
            if not data:
                raise WorkerGone
            self._ready += self._frames.feed(data)
        return self._ready.pop(0)

    def call(self, name: str, *arguments: Any) -> Any:
        """Ask the worker for something and wait for its answer.

        Raises:
            NflowError: of the class that the worker met.
        """
        with self._turn:
            self._calls += 1
            self.send("call", self._calls, name, *arguments)
            while True:
                kind, number, error, value = self.receive()
                if kind == "reply" and number == self._calls:
                    break
        if error is not None:
            raise getattr(nflow.errors, error, NflowError)(value)
        return value
