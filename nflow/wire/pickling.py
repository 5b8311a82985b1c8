"""Pickling by value, with errors that people can act on: the one door to cloudpickle.

What a module that can be imported defines travels by its name; what a workflow file defines travels whole, for that
file is no module in `sys.modules`.
"""

import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NoReturn

from nflow.errors import BrokenMessage, MissingModule, NotShippable
from nflow.wire.culprit import explain

PROTOCOL = 5  #: the first that leaves large buffers outside, and the same for every Python that nflow runs on

TakeBuffer = Callable[[pickle.PickleBuffer], object]


def dump(value: object, what: str, take_buffer: TakeBuffer | None = None) -> bytes:
    """`value`, pickled; large buffers are given to `take_buffer` instead, to be handed to `load` in the same order.

    An open file is refused; in code it is not: a file that a workflow opened when it was read is sent with its content.

    Raises:
        NotShippable: It cannot be pickled; the message calls it `what`, and tells which part of it is to blame.
    """
    try:
        return _dump(value, take_buffer)
    except Exception as error:
        raise NotShippable(explain(value, what, error, _attempt)) from error


def dump_code(code: object, what: str) -> bytes:
    """Code, pickled. Raises as `dump` does."""
    try:
        return _dump(code, is_code=True)
    except Exception as error:
        raise NotShippable(explain(code, what, error, _attempt_code)) from error


def forget_classes() -> None:
    """Let classes of workflow files be made anew from now on, with attributes as the files give them.

    Else all that a process unpickles of one class shares the class object that came first.
    """
    if "cloudpickle" in sys.modules:
        from cloudpickle import cloudpickle  # noqa: PLC0415 - see `_pickler`

        cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.clear()  # noqa: SLF001 - there is no other way, and its tests use it


def load(data: bytes | memoryview, what: str, buffers: Iterable[memoryview] = ()) -> object:
    """What was pickled.

    Raises:
        MissingModule: A module that it needs is not here, or lacks what it needs of it.
        BrokenMessage: It cannot be put together again.
    """
    try:
        return pickle.loads(data, buffers=buffers)
    except ImportError as error:
        raise MissingModule(_missing(what, error)) from error
    except Exception as error:
        if isinstance(error, AttributeError) and str(error).startswith("Can't get attribute"):
            raise MissingModule(f"{what} needs another version of a module than is installed here: {error}.") from error
        raise BrokenMessage(f"{what} cannot be opened: {type(error).__name__}: {error}") from error


def _dump(value: object, take_buffer: TakeBuffer | None = None, *, is_code: bool = False) -> bytes:
    out = io.BytesIO()
    _pickler(is_code)(out, protocol=PROTOCOL, buffer_callback=take_buffer).dump(value)
    return out.getvalue()


@cache
def _pickler(is_code: bool) -> Any:
    import cloudpickle  # noqa: PLC0415  15 ms that who only passes values on can save

    class ValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        dispatch_table = ChainMap({io.TextIOWrapper: _refuse_file}, cloudpickle.Pickler.dispatch_table)  # noqa: RUF012 - as in the class above it

    return cloudpickle.Pickler if is_code else ValuePickler


def _refuse_file(file: io.TextIOWrapper) -> NoReturn:
    raise pickle.PicklingError(f"cannot pickle the open file {file.name!r}; read it, or hand on its path")


def _attempt_code(part: object) -> Exception | None:
    try:
        _dump(part, is_code=True)
    except Exception as error:  # noqa: BLE001  pickling runs code of users, which raises what it likes
        return error
    return None


def _attempt(part: object) -> Exception | None:
    try:
        _dump(part, lambda _: None)
    except Exception as error:  # noqa: BLE001  pickling runs code of users, which raises what it likes
        return error
    return None


def _missing(what: str, error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{what} needs the module '{error.name}', which is not installed here. Install it on this worker."
    return f"{what} needs the module '{error.name or 'unknown'}', which cannot be imported here: {error}."
