"""Where in whose file a dag or a task was made: what an error needs so that a person finds the line.

A place costs half a microsecond to note and is put into words only when it is told. It never travels: a task means the
same wherever it was written.
"""

import copy
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Self

_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_EXAMPLES = f"{_OURS}examples{os.sep}"  # where they are installed

_COPYING = copy.copy.__code__.co_filename  # a copy is made by whoever calls this

# A graph may have 100 000 tasks, and each look-up of a name counts.
_frame = sys._getframe  # noqa: SLF001 - `inspect` is a thousand times slower
_new = object.__new__
_make = tuple.__new__
_set = object.__setattr__  # also because a subclass may forbid the usual way


class Place(tuple[CodeType | None, int]):
    """A line of somebody's code, as the code object and the instruction: to find the line takes time."""

    __slots__ = ()

    @property
    def file(self) -> str:
        """The path of the file; empty where the place is not known."""
        return "" if self[0] is None else self[0].co_filename

    @property
    def line(self) -> int:
        """The number of the line; 0 where it is not known."""
        code, instruction = self
        lines = () if code is None else code.co_lines()
        return next((line for start, end, line in lines if start <= instruction < end and line), 0)

    def before(self, text: str) -> str:
        """`text`, introduced by this place, where it is known."""
        return f"{self}: {text}" if self[0] else text

    def __bool__(self) -> bool:
        return self[0] is not None

    def __str__(self) -> str:
        return told(self.file, self.line)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _nowhere, ()


NOWHERE = Place((None, 0))


class Placed:
    """Something that knows where it was made, also if a subclass never calls the `__init__` of its parent."""

    _nflow_place: Place = NOWHERE

    def __new__(cls, *_: object, **__: object) -> Self:
        """Note who calls; the frames of `__init__` are yet to come."""
        try:
            self = _new(cls)
        except TypeError:  # a class that is built on a dict, say
            self = super().__new__(cls)
        frame = _frame(1)
        place = _make(Place, (frame.f_code, frame.f_lasti)) if frame.f_code.co_name != "__new__" else here()
        _set(self, "_nflow_place", place)
        return self


def place_of(thing: Placed) -> Place:
    """Where it was made."""
    return thing._nflow_place  # noqa: SLF001 - the name is odd so that it meets none of a user's own


def here() -> Place:
    """The line that is being executed, outside of nflow."""
    frame = _frame(1)
    while frame.f_back and (frame.f_code.co_name == "__new__" or not _is_persons(frame.f_code.co_filename)):
        frame = frame.f_back
    return _make(Place, (frame.f_code, frame.f_lasti))


def _is_persons(file: str) -> bool:
    return is_foreign(file) and file != _COPYING


def is_foreign(file: str) -> bool:
    """Whether the code in this file is not nflow's own."""
    return not file.startswith(_OURS) or file.startswith(_EXAMPLES)


def told(file: str, line: int) -> str:
    """A place in words."""
    return f"{Path(file).name}, line {line}" if line else Path(file).name


def _nowhere() -> Place:
    return NOWHERE
