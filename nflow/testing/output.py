"""What tasks print and log while they are played: taken to the one that is on, whichever thread of it writes."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: Where the thread that asks is to write; None if it is none of a task's.
Place = Callable[[], io.BytesIO | None]


class Output(io.TextIOWrapper):
    """A standard stream; it has no file, so that programs which tasks start are not given the real one."""

    def __init__(self, name: str, place: Place) -> None:
        self._name = name
        super().__init__(_Bytes(place, getattr(sys, name)), "utf-8", "backslashreplace", newline="", write_through=True)  # type: ignore[arg-type]  # less than it asks for will do

    def close(self) -> None:
        """Stay open: a slot's later tasks write here too."""

    def __reduce_ex__(self, _: object) -> tuple[Any, ...]:
        """In another process it is that one's stream."""
        return getattr, (sys, self._name)


class _Bytes(io.BufferedIOBase):
    """The `buffer` of a standard stream."""

    def __init__(self, place: Place, otherwise: TextIO) -> None:
        self._place = place
        self._otherwise = otherwise

    def write(self, data: Any) -> int:
        """Write to the output of the task, or to the stream that was there before."""
        raw = bytes(data)
        place = self._place()
        if place is None:
            self._otherwise.write(raw.decode(errors="backslashreplace"))
        else:
            place.write(raw)
        return len(raw)

    def writable(self) -> bool:
        """Always."""
        return True


def nothing_to_read() -> TextIO:
    """What a task finds as `sys.stdin`: as in a slot, nobody is there to answer."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8")


@contextmanager
def logged(place: Place) -> Iterator[None]:
    """Write what tasks log to their output, from INFO on, as in a slot; all others hear no more of it than ever.

    Nor does `logging` find that nobody listens, and write nflow's own complaints to stderr.
    """
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    as_before = _AsBefore(level)
    for handler in before:
        handler.addFilter(as_before)
    # A task that plays something has the output of that to itself.
    root.handlers[:] = [*(handler for handler in before if not isinstance(handler, _Told)), _Told(place)]
    root.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = before
        for handler in before:
            handler.removeFilter(as_before)


class _Told(logging.Handler):
    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    def emit(self, record: logging.LogRecord) -> None:
        place = self._place()
        if place is None:
            return
        try:
            text = f"{record.levelname} {record.name}: {self.format(record)}\n"
        except Exception:  # noqa: BLE001 - the arguments are the user's
            self.handleError(record)
        else:
            place.write(text.encode(errors="backslashreplace"))


class _AsBefore(logging.Filter):
    """Lets pass what the root logger's level let pass before it was lowered."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._level or _has_own_level(logging.getLogger(record.name))


def _has_own_level(logger: logging.Logger) -> bool:
    while logger.parent is not None:
        if logger.level:
            return True
        logger = logger.parent
    return False
