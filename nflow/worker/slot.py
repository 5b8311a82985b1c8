"""A slot, seen from its worker: the process, its pipes, and the one task that runs in it.

A spawned interpreter, never a fork, in a process group of its own. It holds no credentials: whatever its task wants
of the run comes over the pipe as a call, and the worker makes it.
"""

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from nflow.errors import NflowError
from nflow.wire.frames import FrameReader, pack_frame
from nflow.worker.capture import Capture, Pipe

Publish = Callable[[str, bytes], None]
Call = Callable[[str, Sequence[Any]], Awaitable[Any]]


class SlotDied(Exception):
    """The process ended in the middle of a task."""

    def __init__(self, returncode: int) -> None:
        super().__init__(describe_death(returncode))
        self.returncode = returncode


def describe_death(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode >= 0:
        return f"the process of the task ended itself with exit code {returncode}"
    name = signal.Signals(-returncode).name
    hint = ", perhaps by the kernel for want of memory" if name == "SIGKILL" else ""
    return f"the process of the task was ended by {name}{hint}"


class Slot(asyncio.Protocol):
    """One child process, running one task at a time."""

    def __init__(self, process: subprocess.Popen[bytes], stop: mmap.mmap, life: int, capture: Capture) -> None:
        self.process = process
        self.tasks_done = 0
        self.known_code: set[str] = set()  #: digests of code that the process has at hand
        self.capture = capture
        self._stop = stop
        self._life = life
        self._frames = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._outcome: asyncio.Future[bytes] | None = None
        self._call: Call | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._dead = False
        self._burial: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether it can run a task."""
        return not self._dead

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> bytes:
        """Run one task and return its outcome, packed.

        Args:
            request: What the child's `execute` takes.
            subject: Where its lines go.
            attempt: Which attempt its lines belong to.
            call: Makes the calls that the task makes of the run.

        Raises:
            SlotDied: the process ended before it said how the task did.
        """
        self._stop[0] = 0
        self._call = call
        self._outcome = asyncio.get_running_loop().create_future()
        self.capture.begin(subject, attempt)
        if self._dead:
            raise SlotDied(await self._returncode())
        self._send("execute", *request)
        try:
            return await self._outcome
        finally:
            self._outcome = self._call = None
            self.tasks_done += 1
            self.capture.end()
            for pending in self._calls:
                pending.cancel()

    def flag_stop(self) -> None:
        """Let `signal.is_stopped` be true from now on."""
        self._stop[0] = 1

    def signal_group(self, signum: signal.Signals) -> None:
        """Send a signal to the process and to everything it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signum)

    def kill(self) -> None:
        """End it, and everything it has started."""
        if not self._dead:
            self.signal_group(signal.SIGKILL)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe stands."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Frames from the child."""
        for kind, *rest in self._frames.feed(data):
            match kind:
                case "call":
                    work = asyncio.ensure_future(self._answer(*rest))
                    self._calls.add(work)
                    work.add_done_callback(self._calls.discard)
                case "log":
                    self.capture.log(*rest)
                case "done" if self._outcome is not None and not self._outcome.done():
                    self._outcome.set_result(rest[0])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The process is gone, or going."""
        self._dead = True
        self._burial = asyncio.ensure_future(self._bury())

    async def _bury(self) -> None:
        returncode = await self._returncode()
        self.signal_group(signal.SIGKILL)  # what the task started dies with it
        self.capture.end()
        self.capture.close()
        os.close(self._life)
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(SlotDied(returncode))

    async def _returncode(self) -> int:
        return await asyncio.to_thread(self.process.wait)

    async def _answer(self, number: int, name: str, *arguments: Any) -> None:
        assert self._call is not None
        try:
            value = await self._call(name, arguments)
        except NflowError as error:
            self._send("reply", number, type(error).__name__, str(error))
        else:
            self._send("reply", number, None, value)

    def _send(self, *parts: Any) -> None:
        if self._transport is not None and not self._dead:
            self._transport.write(pack_frame(*parts))


async def start_slot(publish: Publish, environment: Mapping[str, str]) -> Slot:
    """Start a child process and connect to it."""
    ours, theirs = socket.socketpair()
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    life_end, life = os.pipe()
    stop_file = _one_byte_file()
    process = subprocess.Popen(
        [sys.executable, "-m", "nflow.worker.child", *map(str, (theirs.fileno(), stop_file, life_end))],
        stdin=subprocess.DEVNULL,
        stdout=out_end,
        stderr=err_end,
        pass_fds=(theirs.fileno(), stop_file, life_end),
        start_new_session=True,
        env=dict(environment),
    )
    stop = mmap.mmap(stop_file, 1)
    theirs.close()
    for fd in (out_end, err_end, life_end, stop_file):
        os.close(fd)
    capture = Capture(Pipe(out, "out"), Pipe(err, "err"), publish)
    capture.listen(asyncio.get_running_loop())
    slot = Slot(process, stop, life, capture)
    await asyncio.get_running_loop().create_unix_connection(lambda: slot, sock=ours)
    return slot


def _one_byte_file() -> int:
    """A file of one byte that both processes map: the stop flag, read without a system call."""
    if sys.platform == "linux":
        fd = os.memfd_create("nflow-stop")
    else:
        fd, path = tempfile.mkstemp()
        os.unlink(path)  # noqa: PTH108 - the name is not needed, the file is
    os.truncate(fd, 1)
    return fd
