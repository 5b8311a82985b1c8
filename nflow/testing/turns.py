"""Plays of one process take turns: they change what threads share, such as `sys.stdout` and the working directory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_turn: ContextVar[threading.Lock] = ContextVar("turn", default=threading.Lock())  # noqa: B039 - all are to share it


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other play is under way. What is played by this play's own code need not wait for it to end."""
    with _turn.get():
        before = _turn.set(threading.Lock())
        try:
            yield
        finally:
            _turn.reset(before)


def begin_own_turns() -> None:
    """This thread runs the tasks of a play: what they play is part of it."""
    _turn.set(threading.Lock())
