"""The process of a slot: runs one task after another for its worker, each with fresh code.

Imports neither the bus nor the settings: it knows the pipe, and nothing of what is behind it.
"""

import fcntl
import importlib
import logging
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from nflow.core.events import Provenance, RemoteError, TaskAborted, TaskEvent, TaskFailed, TaskSucceeded
from nflow.core.ids import WorkerId
from nflow.core.jobs import TaskJob
from nflow.models.execution import Aborted, Ending, Failed, Succeeded, run_task
from nflow.models.task import BaseTask
from nflow.models.task_context import TaskContext
from nflow.slot.exchange import BlobAccess, Packer, opened
from nflow.slot.pipe import Calls, Pipe, WorkerGone
from nflow.slot.sight import PipeBlobs, PipeSignal, PipeStore
from nflow.wire.code import unpack_code
from nflow.wire.messages import pack_events, unpack_input, unpack_job

_F_SETSIG = 10  # Linux; the fcntl module has no name for it

#: A traceback is cut to this many characters, from its beginning: what was raised stands at its end.
_LONGEST_TRACEBACK = 16_000

#: The message of an error, and the reason of an ending, are cut after so many: they travel in one record.
_LONGEST_MESSAGE = 4_000

#: Memory beyond what earlier tasks of this process have used, after which its peak is counted anew.
_PEAK_STEP_BYTES = 16 * 1024 * 1024


def main() -> None:
    """Serve the worker until it closes the pipe."""
    sock_fd, stop_fd, life_fd = ours = [int(number) for number in sys.argv[1:4]]
    for fd in ours:
        os.set_inheritable(fd, False)  # a program that a task starts must not hold the pipe to the worker open
    _die_with_worker(life_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to handle
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    pipe = Pipe(socket.socket(fileno=sock_fd))
    _log_through(pipe)
    slot = _ChildSlot(pipe, mmap.mmap(stop_fd, 1))
    with suppress(WorkerGone, BrokenPipeError, ConnectionResetError):
        while True:
            _, *request = pipe.receive()
            pipe.send("done", slot.execute(*request))


class _ChildSlot:
    """What lives as long as the process: the code it has at hand and the pipe."""

    def __init__(self, pipe: Pipe, stop: mmap.mmap) -> None:
        self._pipe = pipe
        self._stop = stop
        self._code: dict[str, bytes] = {}
        self._home = Path.cwd()
        self._memory = _Memory()

    def execute(
        self, payload: bytes, input_bytes: bytes | None, code: bytes | None, execution: int, worker: str, host: str
    ) -> bytes:
        """Run one task; its outcome as packed events."""
        job = unpack_job(payload)
        assert isinstance(job, TaskJob)
        if code is not None:
            self._code[job.code] = code
        start = time.time()
        self._memory.begin()
        self._go_to(job)
        calls = Calls(self._pipe)
        ending = self._run(job, input_bytes, host, calls)
        provenance = self._provenance(worker, host, start)
        try:
            event = self._outcome(job, ending, execution, provenance, PipeBlobs(calls))
        except Exception as error:  # noqa: BLE001 - values are packed by code of their own, which is the user's
            event = self._outcome(job, Failed(exception=error), execution, provenance, PipeBlobs(calls))
        calls.close()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # a task may have closed or replaced it
                stream.flush()
        return pack_events([event])

    def _run(self, job: TaskJob, input_bytes: bytes | None, host: str, calls: Calls) -> Ending:
        try:
            task = self._task(job)
            given = job.input if input_bytes is None else unpack_input(input_bytes)
            data = opened(given, PipeBlobs(calls))
        except Exception as error:  # noqa: BLE001 - user code is imported here, and may raise whatever it likes
            return Failed(exception=error)
        context = TaskContext(job.name, job.dag, job.workflow, job.run, host)
        return run_task(task, data, PipeStore(calls), PipeSignal(calls, self._stop, job), context)

    def _task(self, job: TaskJob) -> BaseTask:
        shipped: Any = unpack_code(self._code[job.code], what=f"Task '{job.name}'")
        kind, state = shipped
        task: BaseTask = kind.restored(state, name=job.name, queue=job.queue)
        return task

    def _outcome(
        self, job: TaskJob, ending: Ending, execution: int, provenance: Provenance, blobs: BlobAccess
    ) -> TaskEvent:
        match ending:
            case Succeeded():
                return TaskSucceeded(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    provenance=provenance,
                    output=Packer(blobs).dataset(ending.data),
                    limit=ending.limit,
                    stopped=None if ending.stopped is None else _cut(ending.stopped),
                )
            case Aborted():
                return TaskAborted(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    reason=_cut(ending.reason),
                    provenance=provenance,
                )
            case Failed():
                return TaskFailed(
                    task=job.task,
                    attempt=job.attempt,
                    execution=execution,
                    error=remote_error(ending.exception),
                    provenance=provenance,
                )

    def _provenance(self, worker: str, host: str, start: float) -> Provenance:
        return Provenance(
            worker=WorkerId(worker),
            host=host,
            pid=os.getpid(),
            start=start,
            end=time.time(),
            peak_memory_bytes=self._memory.peak(),
        )

    def _go_to(self, job: TaskJob) -> None:
        """Work where the run was submitted, if that folder exists here, and find modules that lie beside its file."""
        try:
            os.chdir(job.directory or self._home)
        except OSError:
            os.chdir(self._home)
        if job.folder and job.folder not in sys.path:
            sys.path.append(job.folder)
            importlib.invalidate_caches()


class _Memory:
    """The peak of resident memory of one task, though the process lives longer."""

    def __init__(self) -> None:
        self._before = _peak_bytes()

    def begin(self) -> None:
        """A task begins. Starting the count anew costs a page walk, so it is done only after a task that used much."""
        now = _peak_bytes()
        if now > self._before + _PEAK_STEP_BYTES:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
            self._before = _peak_bytes()

    def peak(self) -> int:
        """The peak since then, in bytes."""
        return _peak_bytes()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def remote_error(error: BaseException) -> RemoteError:
    """An exception in words, without the frames of nflow itself."""
    frames = error.__traceback__
    while frames is not None and f"{os.sep}nflow{os.sep}" in frames.tb_frame.f_code.co_filename and frames.tb_next:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    try:
        message = str(error)
    except Exception as worse:  # noqa: BLE001 - it is the user's class
        message = f"(its message cannot be told: {type(worse).__name__})"
    return RemoteError(
        type=type(error).__name__,
        message=_cut(message),
        traceback=text[-_LONGEST_TRACEBACK:],
        mro=tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__[:-1]),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


class _PipeHandler(logging.Handler):
    """Sends what is logged to the worker, whole: level and logger stay apart from the text."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__()
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        text = self.format(record)
        if not self._pipe.is_ours:
            sys.stderr.write(f"{record.levelname} {record.name}: {text}\n")
            return
        try:
            self._pipe.send("log", record.levelname, record.name, text)
        except OSError:
            self.handleError(record)


def _log_through(pipe: Pipe) -> None:
    root = logging.getLogger()
    root.addHandler(_PipeHandler(pipe))
    root.setLevel(logging.INFO)


def _die_with_worker(life_fd: int) -> None:
    """When the worker is gone, so is this process and everything it has started: its work is another's by then.

    The worker holds the other end of a pipe. On Linux the kernel itself kills the process group when that end closes,
    even in the middle of C code that never gives Python a chance.
    """
    if sys.platform == "linux":
        fcntl.fcntl(life_fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life_fd, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life_fd, fcntl.F_SETFL, fcntl.fcntl(life_fd, fcntl.F_GETFL) | os.O_ASYNC)
    else:
        threading.Thread(target=_watch_worker, args=(life_fd,), daemon=True).start()


def _watch_worker(life_fd: int) -> None:
    os.read(life_fd, 1)  # returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
