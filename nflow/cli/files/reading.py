"""Reading a workflow file runs a user's code in this very process.

It must not end the process unheard, hold it up without a word, or write into its output; and what it has started and
left behind must not outlive it unasked.
"""

import atexit
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from nflow.cli.edge import INTERRUPTED
from nflow.errors import UsageError

#: A file that takes longer than so many seconds is said to.
SLOW = 2.0


class Interrupted(UsageError):
    """A person did not want to wait any longer."""

    exit_code = INTERRUPTED


#: Threads that workflow files have started and left.
_LEFT: set[threading.Thread] = set()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Keep the code of a workflow file, which runs meanwhile, from doing harm to this program.

    Raises:
        Interrupted: Ctrl-C, and nothing was started.
        SystemExit: It called `os._exit`.
    """
    threads = set(threading.enumerate())
    with _told_when_slow(path), writing_to_stderr(), _not_ending():
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted(f"Interrupted while {path.name} was being read; nothing was started.") from None
        finally:
            _LEFT.update(thread for thread in set(threading.enumerate()) - threads if not thread.daemon)
            atexit.register(_end_children)  # only now: the last one to register is the first to be called


def leave(code: int) -> NoReturn:
    """End this process, and with it the threads that a workflow file has left, for which Python would wait."""
    if any(thread.is_alive() for thread in _LEFT):
        for thread in set(threading.enumerate()) - _LEFT - {threading.main_thread()}:
            if not thread.daemon:  # nflow's own, which writes what is left to write
                thread.join()
        _end_children()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


@contextmanager
def _told_when_slow(path: Path) -> Iterator[None]:
    note = (
        f"nflow: {path.name} is still being read: all at its top level runs before anything starts. Ctrl-C ends it.\n"
    )
    clock = threading.Timer(SLOW, sys.stderr.write, [note])
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


@contextmanager
def writing_to_stderr() -> Iterator[None]:
    """What a user's code prints meanwhile is no output of nflow's, nor what programs print that it starts.

    Such programs do not get hold of nflow's stdout either: `RUN=$(nflow start scan)` would wait for them to end.
    """
    out, err = sys.stdout, sys.stderr
    out.flush()
    sys.stdout = stand_in = _stderr()
    kept = _turned(1, to=2)
    if kept is not None:
        _PUT_ASIDE.append(kept)
    try:
        yield
    finally:
        with suppress(ValueError):  # the file has closed it
            stand_in.flush()
        sys.stdout, sys.stderr = out, err
        if kept is not None:
            _PUT_ASIDE.remove(kept)
            os.dup2(kept, 1)
            os.close(kept)


def _stderr() -> TextIO:
    """Not the one that nflow itself uses, for the file may close what it finds as its stdout."""
    try:
        return os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    except OSError:
        return sys.stderr


#: nflow's stdout while it is put aside; a fork of this process must not have it either.
_PUT_ASIDE: list[int] = []


def _forget_stdout() -> None:
    for kept in _PUT_ASIDE:
        os.dup2(1, kept)  # closed, its number could be another file's by the time it is closed again


os.register_at_fork(after_in_child=_forget_stdout)


def _turned(number: int, *, to: int) -> int | None:
    """Let a descriptor lead to where another one does; what it was before, unless it was closed."""
    try:
        kept = os.dup(number)
    except OSError:
        return None
    with suppress(OSError):
        os.dup2(to, number)
    return kept


@contextmanager
def _not_ending() -> Iterator[None]:
    """Make an error of `os._exit`, which would end nflow without a word, perhaps with the exit code of a success."""
    ours, leave = os.getpid(), os._exit

    def stay(status: int) -> NoReturn:
        if os.getpid() != ours:  # a fork, whose way to end this is
            leave(status)
        raise SystemExit(status)

    os._exit = stay
    try:
        yield
    finally:
        os._exit = leave
        if os.getpid() != ours:  # a fork that went on after the end of the file: one nflow is enough
            leave(0)


def _end_children() -> None:
    """End what the file has started with `multiprocessing` and left: Python would wait for it, perhaps without end."""
    if multiprocessing := sys.modules.get("multiprocessing"):
        for child in multiprocessing.active_children():
            child.kill()
