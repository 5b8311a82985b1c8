"""A slot that is a thread of this process: the same runner behind the same kind of pipe as in a process of its own."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

from nflow.core.jobs import TaskJob
from nflow.slot.bulk import WorkerGone
from nflow.slot.pipe import Calls, Pipe
from nflow.slot.runner import TaskRunner
from nflow.slot.sight import PipeSignal
from nflow.testing.stage import Stage
from nflow.testing.turns import begin_own_turns
from nflow.wire.frames import FrameReader, pack_frame
from nflow.worker.capture import LAST_LINES
from nflow.worker.channel import Channel
from nflow.worker.death import Death
from nflow.worker.slot import BULKY, Call, Outcome, SlotDied, answer
from nflow.worker.stopflag import StopFlag

#: Seconds for which a task may look at `is_stopped` again and again before others, and time, go on.
_ATTENTION = 0.005

#: Virtual seconds that pass at such a look, unless the stop comes before.
_LOOK = 60.0


class ThreadSlot(asyncio.Protocol):
    """A thread in which one task after the other is run."""

    def __init__(self, stage: Stage, channel: Channel) -> None:
        self.tasks_done = 0
        self.known_code: set[str] = set()
        self._stage = stage
        self._channel = channel
        self._stop = StopFlag()
        self._stopped = asyncio.Event()
        self._frames = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._outcome: asyncio.Future[Outcome] | None = None
        self._call: Call | None = None
        self._subject = ""
        self._calls: set[asyncio.Task[None]] = set()
        self._thread: threading.Thread | None = None
        self._dead = False

    @classmethod
    async def started(cls, stage: Stage) -> "ThreadSlot":
        """A slot with its thread."""
        ours, theirs = socket.socketpair()
        our_bulk, their_bulk = socket.socketpair()
        slot = cls(stage, Channel(our_bulk))
        await asyncio.get_running_loop().create_connection(lambda: slot, sock=ours)
        slot._thread = threading.Thread(
            target=_serve, args=(Pipe(theirs, their_bulk), slot._stop.fileno()), daemon=True
        )
        slot._thread.start()
        return slot

    @property
    def pid(self) -> int:
        """The number of this process."""
        return os.getpid()

    @property
    def alive(self) -> bool:
        """Whether it can run a task."""
        return not self._dead

    @property
    def ended(self) -> bool:
        """Whether all of it is gone."""
        return self._dead

    @property
    def memory_bytes(self) -> int:
        """Not known: all slots share this process."""
        return 0

    @property
    def last_lines(self) -> tuple[str, ...]:
        """See `Slot`."""
        return tuple(self._stage.printed_by(self._subject).splitlines()[-LAST_LINES:])

    async def run(self, request: Sequence[Any], *, subject: str, attempt: int, call: Call) -> Outcome:  # noqa: ARG002
        """See `Slot`."""
        self._call, self._subject = call, subject
        self._outcome = asyncio.get_running_loop().create_future()
        self._enter(pack_frame("execute", *request))
        try:
            return await self._outcome
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            self._stage.end(subject)
            self._outcome = self._call = None
            self._stop.down()
            self._stopped.clear()
            self.tasks_done += 1

    def flag_stop(self) -> None:
        """Let `signal.is_stopped` be true from now on."""
        self._stop.up()
        self._stopped.set()

    def signal_group(self, signum: signal.Signals) -> None:
        """A thread cannot be ended; the task counts as killed all the same."""
        self.kill()
        if self._outcome is not None and not self._outcome.done():
            self._outcome.set_exception(SlotDied(Death(exit_code=-signum)))

    def kill(self) -> None:
        """Let its thread end when it comes back from the code of its task, for which nobody waits."""
        self._dead = True
        if self._outcome is not None and not self._outcome.done():
            self._thread = None
        if self._transport is not None:
            self._transport.abort()

    async def end(self) -> None:
        """See `Slot`."""

    def join(self) -> None:
        """Wait for the end of the thread, once its pipe is closed."""
        if self._thread is not None:
            self._thread.join()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe stands."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Frames from the thread."""
        for kind, *rest in self._frames.feed(data):
            if kind != "call" or rest[1] not in BULKY:  # with a large value the thread is busy until it has passed
                self._stage.leave(self._subject)
            match kind:
                case "call" if self._call is not None:
                    work = asyncio.ensure_future(self._answer(self._call, *rest))
                    self._calls.add(work)
                    work.add_done_callback(self._calls.discard)
                case "done" | "failed" if self._outcome is not None and not self._outcome.done():
                    self._outcome.set_result(Outcome(rest[0], kind == "failed"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The thread is gone."""
        self._dead = True
        self._stop.close()
        for call in self._calls:
            call.cancel()
        self._channel.close()

    async def _answer(self, call: Call, number: int, name: str, *arguments: Any) -> None:
        if name == "look":
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._stopped.wait()
            self._enter(pack_frame("reply", number, None, None))
        else:
            given = (*arguments, self._channel) if name in BULKY else arguments
            reply = await answer(call, number, name, given)
            if name in BULKY:
                self._stage.leave(self._subject)
            self._enter(reply)

    def _enter(self, frame: bytes) -> None:
        if self._transport is not None and not self._dead:
            self._stage.enter(self._subject, partial(self._transport.write, frame))


class _PatientSignal(PipeSignal):
    """A signal that lets others have the stage, for tasks that look in a loop whether they are to stop."""

    def __init__(self, calls: Calls, stop: int, job: TaskJob) -> None:
        super().__init__(calls, stop, job)
        self._patience = time.monotonic() + _ATTENTION

    @property
    def is_stopped(self) -> bool:
        """Whether this dag run is to stop."""
        if not super().is_stopped and time.monotonic() > self._patience:
            self._calls.call("look")
            self._patience = time.monotonic() + _ATTENTION
        return super().is_stopped


def _serve(pipe: Pipe, stop: int) -> None:
    begin_own_turns()
    runner = TaskRunner(pipe, stop, lambda _, __: None, _PatientSignal)
    with suppress(WorkerGone, OSError):
        while True:
            _, *request = pipe.receive()
            pipe.send(*runner.execute(*request))
    pipe.close()
