"""The process of a slot: runs one task after another for its worker, each with fresh code.

Imports neither the bus nor the settings: it knows the pipe, and nothing of what is behind it.
"""

import faulthandler
import logging
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

from nflow.core.jobs import TaskJob
from nflow.models.neighbours import Neighbours
from nflow.programs.lifeline import HAS_LIFELINES, bind
from nflow.programs.strays import VARIABLE
from nflow.slot.bulk import WorkerGone
from nflow.slot.pipe import Pipe
from nflow.slot.runner import TaskRunner
from nflow.slot.termination import terminable


def main() -> None:
    """Serve the worker until it closes the pipe."""
    *ours, memory = [int(number) for number in sys.argv[1:6]]
    sock_fd, bulk_fd, stop_fd, life_fd = ours
    for fd in ours:
        os.set_inheritable(fd, False)  # a program that a task starts must not hold the pipe to the worker open
    _die_with_worker(life_fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to handle
    faulthandler.enable()  # a crash in compiled code leaves the line that it happened in among the last ones
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    pipe = Pipe(socket.socket(fileno=sock_fd), socket.socket(fileno=bulk_fd))
    _log_through(pipe)
    runner = TaskRunner(pipe, stop_fd, _Home().settle_in, around=terminable)
    with suppress(WorkerGone, BrokenPipeError, ConnectionResetError):
        while True:
            _, *request = pipe.receive()
            how, outcome = runner.execute(*request)
            _flush()
            if not pipe.is_ours:
                os._exit(0)  # a process that the task has forked came back from its code: only one may speak for it
            pipe.send(how, outcome, _has_left_threads())


class _Home:
    """Where the process was started, and works where the folder of a run does not exist; whose neighbours it knows."""

    def __init__(self) -> None:
        self._start = Path.cwd()
        self._neighbours: Neighbours | None = None

    def settle_in(self, job: TaskJob, execution: int) -> None:
        """Work where the run was submitted, if that folder exists here, and find modules that lie beside its file.

        What it starts can be told from other tasks' by its environment.
        """
        os.environ[VARIABLE] = job.execution(execution)
        try:
            os.chdir(job.directory or self._start)
        except OSError:
            os.chdir(self._start)
        folder, met = Path(job.folder), self._neighbours
        if not job.folder or (met is not None and (met.folder, met.own) == (folder, job.workflow)):
            return
        if met is not None:
            met.dismiss()
            met.forget()
        self._neighbours = Neighbours(folder, job.workflow).welcome()


def _has_left_threads() -> bool:
    """Whether the task has left a thread behind that it should have joined: it may go on to print, and for ever.

    Threads that are daemons are mostly libraries' own, and wait for their next use.
    """
    main = threading.main_thread()
    return any(thread is not main and not thread.daemon for thread in threading.enumerate())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a task may have closed or replaced it
            stream.flush()


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
    if HAS_LIFELINES:
        bind(life_fd, os.getpgrp())
    else:
        threading.Thread(target=_watch_worker, args=(life_fd,), daemon=True).start()


def _watch_worker(life_fd: int) -> None:
    os.read(life_fd, 1)  # returns when the other end is closed
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
