"""A slot that is a process, seen from its worker: the process, its pipes, and the one task that runs in it.

A spawned interpreter, never a fork, in a process group of its own. It holds no credentials: whatever its task wants
of the run comes over the pipe as a call, and the worker makes it.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nflow.wire.frames import FrameReader, pack_frame
from nflow.worker.capture import MOST_BYTES, Capture, Pipe
from nflow.worker.channel import Channel
from nflow.worker.death import Death
from nflow.worker.memory import OomKills, resident_bytes
from nflow.worker.slot import BULKY, Call, Outcome, SlotDied, answer
from nflow.worker.stopflag import StopFlag

#: Seconds that are left, after the end of the process, to read what it has sent.
LAST_WORDS = 0.5

#: Whether a process can be seen to have ended before it is reaped.
_HAS_PIDFD = hasattr(os, "pidfd_open")

Publish = Callable[[str, bytes], None]


class ProcessSlot(asyncio.Protocol):
    """One child process, running one task at a time."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stop: StopFlag,
        life: int,
        capture: Capture,
        channel: Channel,
        oom_kills: OomKills,
    ) -> None:
        self.process = process
        self.tasks_done = 0
        self.known_code: set[str] = set()  #: digests of code that the process has at hand
        self.capture = capture
        self._stop = stop
        self._life = life
        self._channel = channel
        self._oom_kills = oom_kills
        self._death: Death | None = None
        self._frames = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._outcome: asyncio.Future[Outcome] | None = None
        self._call: Call | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._dead = False
        self._has_left_threads = False
        self._disconnected = asyncio.Event()
        self._burial = asyncio.ensure_future(self._bury())

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it can run a task."""
        return not self._dead

    @property
    def ended(self) -> bool:
        """Whether its process is gone, with all that led to it."""
        return self._burial.done()

    @property
    def memory_bytes(self) -> int:
        """See `Slot`."""
        return 0 if self._dead else resident_bytes(self.pid)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """See `Slot`."""
        return self.capture.last_lines

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> Outcome:
        """See `Slot`."""
        if self._dead:
            raise SlotDied(await self.end())
        self._call = call
        self._outcome = asyncio.get_running_loop().create_future()
        self.capture.begin(subject, attempt)
        self._send("execute", *request)
        try:
            return await self._outcome
        except asyncio.CancelledError:
            self.kill()  # the user code goes on, and whatever it says would be taken for the next task's
            raise
        finally:
            self._outcome = self._call = None
            self._stop.down()  # here and not before: the stop of the next task may come before it runs
            self.tasks_done += 1
            self.capture.end()
            self._silence()

    def flag_stop(self) -> None:
        """Let `signal.is_stopped` be true from now on."""
        self._stop.up()

    def signal_group(self, signum: signal.Signals) -> None:
        """Send a signal to the process and to everything it has started."""
        if self.process.returncode is None or not _HAS_PIDFD:  # once it is reaped, the number may belong to others
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)

    def kill(self) -> None:
        """End it, and everything it has started. It runs no task any more."""
        self._dead = True
        self.signal_group(signal.SIGKILL)

    async def end(self) -> Death:
        """How it ended, once it has, and let go of everything."""
        await asyncio.shield(self._burial)
        assert self._death is not None
        return self._death

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe stands."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Frames from the child."""
        for kind, *rest in self._frames.feed(data):
            match kind:
                case "call" if self._call is not None:
                    work = asyncio.ensure_future(self._answer(self._call, *rest))
                    self._calls.add(work)
                    work.add_done_callback(self._calls.discard)
                case "log":
                    self.capture.log(*rest)
                case "done" | "failed" if self._outcome is not None and not self._outcome.done():
                    self._has_left_threads = rest[1]
                    self._outcome.set_result(Outcome(rest[0], kind == "failed"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The process is gone, or going, or has closed the pipe and is of no use any more."""
        self._disconnected.set()
        self.kill()

    async def _bury(self) -> None:
        """When the process has ended, end what its task has started, and let go of all that led to it."""
        await _has_ended(self.process)
        self.kill()  # what the task has started dies with it; the process is not reaped yet, so its number is its own
        self._death = death = _reaped(self.process, self._oom_kills)
        with contextlib.suppress(TimeoutError):
            # What it has sent is still to be read, up to the end of the pipe. There is none if another process has
            # inherited it and left the process group.
            async with asyncio.timeout(LAST_WORDS):
                await self._disconnected.wait()
        if self._transport is not None:
            self._transport.abort()
        self.capture.end()
        self.capture.close()
        os.close(self._life)
        self._stop.close()
        self._end_calls()
        self._channel.close()
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(SlotDied(death))

    def _silence(self) -> None:
        """The task is over: whoever still waits for an answer is a thread that it has left behind.

        Such a thread would take the next task's requests for the answer, and any thread that goes on may print among
        what the next task does, so their process takes no further task.
        """
        if self._has_left_threads or any(not call.done() for call in self._calls):
            self.kill()
        self._end_calls()

    def _end_calls(self) -> None:
        for call in self._calls:
            call.cancel()

    async def _answer(self, call: Call, number: int, name: str, *arguments: Any) -> None:
        given = (*arguments, self._channel) if name in BULKY else arguments
        self._write(await answer(call, number, name, given))

    def _send(self, *parts: Any) -> None:
        self._write(pack_frame(*parts))

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and not self._dead:
            self._transport.write(frame)


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child process that was started, and our ends of what leads to it: nobody is connected to it yet."""

    process: subprocess.Popen[bytes]
    ours: socket.socket
    bulk: socket.socket  #: where large values pass
    out: int
    err: int
    life: int
    stop: StopFlag

    def discard(self) -> None:
        """End it: no slot will be made of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.ours.close()
        self.bulk.close()
        self.stop.close()
        for fd in (self.out, self.err, self.life):
            os.close(fd)


def spawn(environment: Mapping[str, str], memory: int | None = None) -> Spawned:
    """Start a child process; it needs a tenth of a second to be ready, for which no event loop has to wait.

    Args:
        environment: Of the process; it holds no secrets.
        memory: Bytes that it, and each process that it starts, may use. None: as much as there is.
    """
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:  # ours are kept if all goes well
        sock, their_sock = socket.socketpair()
        ours.callback(sock.close)
        theirs.callback(their_sock.close)
        bulk, their_bulk = socket.socketpair()
        ours.callback(bulk.close)
        theirs.callback(their_bulk.close)
        out, their_out = _pipe(ours, theirs)
        err, their_err = _pipe(ours, theirs)
        life, their_life = _pipe(ours, theirs, to_child=True)
        stop = StopFlag()
        ours.callback(stop.close)
        passed = (their_sock.fileno(), their_bulk.fileno(), stop.fileno(), their_life)
        process = subprocess.Popen(
            # -P: no file here shadows a module
            [sys.executable, "-P", "-m", "nflow.slot.child", *map(str, passed), str(memory or 0)],
            stdin=subprocess.DEVNULL,
            stdout=their_out,
            stderr=their_err,
            pass_fds=passed,
            start_new_session=True,
            env=dict(environment),
        )
        ours.pop_all()
    return Spawned(process, sock, bulk, out, err, life, stop)


def _pipe(ours: contextlib.ExitStack, theirs: contextlib.ExitStack, *, to_child: bool = False) -> tuple[int, int]:
    """A pipe from the child, or to it: our end, and the child's."""
    read_end, write_end = os.pipe()
    our_end, their_end = (write_end, read_end) if to_child else (read_end, write_end)
    ours.callback(os.close, our_end)
    theirs.callback(os.close, their_end)
    return our_end, their_end


async def start_slot(
    publish: Publish, spawned: Spawned, oom_kills: OomKills | None = None, most_output: int = MOST_BYTES
) -> ProcessSlot:
    """Connect to a child process that was spawned."""
    loop = asyncio.get_running_loop()
    capture = Capture(Pipe(spawned.out, "out"), Pipe(spawned.err, "err"), publish, most_output)
    capture.listen(loop)
    slot = ProcessSlot(
        spawned.process, spawned.stop, spawned.life, capture, Channel(spawned.bulk), oom_kills or OomKills()
    )
    try:
        await loop.create_unix_connection(lambda: slot, sock=spawned.ours)
    except BaseException:
        slot.kill()
        raise
    return slot


def _reaped(process: subprocess.Popen[bytes], oom_kills: OomKills) -> Death:
    """Take a process that has ended off the system's list. What it used is told only then."""
    peak = 0
    with contextlib.suppress(ChildProcessError):
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Death(exit_code=process.wait(), peak_memory_bytes=peak, out_of_memory=oom_kills.happened())


async def _has_ended(process: subprocess.Popen[bytes]) -> None:
    """Return when `process` has ended. The pipe does not tell while another process has inherited it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    fd = _pidfd(process.pid)
    if fd is not None:
        loop.add_reader(fd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(fd)
            os.close(fd)
    else:
        threading.Thread(target=_await_end, args=(process, loop, ended), daemon=True).start()
        await ended.wait()


def _pidfd(pid: int) -> int | None:
    """A file that tells of the end of a process; None where there is no such thing, or no room for one more file."""
    if not _HAS_PIDFD:
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        return None


def _await_end(process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is not reaped: its number stays its own
    else:
        process.wait()
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(ended.set)
