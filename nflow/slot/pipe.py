"""The child's end of the pipe to its worker: requests come in, calls go out, one at a time."""

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import nflow.errors
from nflow.blobs.terms import Terms
from nflow.core.ids import RunId
from nflow.errors import NflowError
from nflow.slot.bulk import Bulk, WorkerGone
from nflow.wire.frames import FrameReader, pack_frame

_CHUNK_BYTES = 256 * 1024

_NO_RUN = RunId("")
_USUAL_TERMS = Terms()


class Pipe:
    """Frames to and from the worker. Threads may send at once; they take turns."""

    def __init__(self, sock: socket.socket, bulk: socket.socket) -> None:
        """Make the child's end of the pipe.

        Args:
            sock: Calls and answers pass here.
            bulk: Large values pass here.
        """
        self.bulk = Bulk(bulk)
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
        self.bulk.close()


class Calls:
    """What one task asks of its run. Its threads may call at once; they take turns.

    Once it is closed it refuses all calls: a thread that a task has left behind must not speak for the next task, nor
    take the answers to it. What such a thread had asked before, the worker knows, and ends the process.
    """

    def __init__(self, pipe: Pipe, run: RunId = _NO_RUN, terms: Terms = _USUAL_TERMS) -> None:
        self.run = run
        self.terms = terms  #: on which the values of this task travel
        self._pipe = pipe
        self._is_cut = False
        self._turn = threading.Lock()
        self._count = 0
        self._over = threading.Event()

    def call(self, name: str, *arguments: Any, passing: Callable[[Bulk], object] | None = None) -> Any:
        """Ask the worker for something and wait for its answer.

        Args:
            name: Of the call.
            arguments: Plain ones.
            passing: Sends or takes the large value that the call is about.

        Raises:
            NflowError: of the class that the worker met; or the task is over, or this is a process that it has forked.
        """
        if not self._pipe.is_ours:
            raise NflowError(
                "`store`, `signal` and large values of `data` are for the process of the task itself, not for one that "
                "it has forked. Hand results back to the task, and let it use them."
            )
        with self._turn:
            if passing is not None:
                self._begin_to_pass()
            self._count += 1
            if not self._pipe.send("call", self._count, name, *arguments, unless=self._over):
                raise NflowError(f"The task is over: '{name}' comes too late. Join your threads before the task ends.")
            if passing is not None:
                passing(self._pipe.bulk)
                self._is_cut = False
            while True:
                kind, number, error, value = self._pipe.receive()
                if kind == "reply" and number == self._count:
                    break
        if error is not None:
            raise getattr(nflow.errors, error, NflowError)(value)
        return value

    def _begin_to_pass(self) -> None:
        """What is left of a value that an exception has interrupted would be taken for the next one."""
        if self._is_cut:
            raise NflowError("An exception has interrupted a large value on its way: no other can follow it now.")
        self._is_cut = True

    def close(self) -> None:
        """Let nobody call any more."""
        self._over.set()
