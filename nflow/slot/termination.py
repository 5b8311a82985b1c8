"""SIGTERM in a slot: while users' code runs, an exception in the middle of it; otherwise the end of the process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from nflow.models.exceptions import Terminated


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in what runs inside, once: what that does at its end is not interrupted again."""
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # also where the task has set a handler of its own


def _raise(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated("The task was told by SIGTERM to end.")
