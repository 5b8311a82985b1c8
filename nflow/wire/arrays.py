"""numpy arrays and scalars ⇄ a few words and the buffer itself, which is not copied where that can be helped.

numpy is imported only for values that need it: who has none, has no arrays either.
"""

import sys
from typing import TYPE_CHECKING, Any, cast

from nflow.errors import MissingModule
from nflow.wire.pickling import dump, load

if TYPE_CHECKING:
    import numpy as np

PLAIN_KINDS = frozenset("biufcmMSU")  #: kinds of dtype that their `str` tells in full
SCALAR_KINDS = frozenset("biufcmM")  #: strings as scalars lose their trailing zeros in a buffer


def is_array(value: Any) -> bool:
    """Whether `value` is an array whose buffer says it all: no subclass, and no Python objects in it."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray:
        return False
    return not value.dtype.hasobject and value.dtype.itemsize > 0


def is_scalar(value: Any) -> bool:
    """Whether `value` is a numpy number, time or truth, and no subclass of one."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic) or type(value).__module__ != "numpy":
        return False
    return value.dtype.kind in SCALAR_KINDS


def describe(array: "np.ndarray[Any, Any]") -> tuple[list[object], memoryview]:
    """What makes `array` again together with its buffer, and that buffer: the array's own if it has no gaps."""
    in_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    rows = array.T if in_columns else array
    if not rows.flags.c_contiguous:
        rows = rows.copy(order="C")
    # bytes, for not every dtype can be shown as a buffer of its own
    buffer = rows.reshape(-1).view("u1").data
    return [_dtype_out(array.dtype), list(array.shape), "F" if in_columns else "C"], buffer


def rebuild(described: list[Any], buffer: memoryview) -> "np.ndarray[Any, Any]":
    """The array that `describe` described, on `buffer` itself: writable if that is."""
    dtype, shape, order = described
    array: np.ndarray[Any, Any] = _numpy().ndarray(tuple(shape), _dtype_in(dtype), buffer=buffer, order=order)
    return array


def describe_scalar(scalar: "np.generic[Any]") -> list[object]:
    """What makes `scalar` again."""
    return [_dtype_out(scalar.dtype), scalar.tobytes()]


def rebuild_scalar(described: list[Any]) -> "np.generic[Any]":
    """The scalar that `describe_scalar` described."""
    dtype, data = described
    scalar: np.generic[Any] = _numpy().frombuffer(data, _dtype_in(dtype))[0]
    return scalar


def _dtype_out(dtype: "np.dtype[Any]") -> str | bytes:
    if dtype.kind in PLAIN_KINDS and dtype.metadata is None and _numpy().dtype(dtype.str) == dtype:
        return dtype.str
    return dump(dtype, f"The array type {dtype}")


def _dtype_in(plain: str | bytes) -> "np.dtype[Any]":
    dtype: Any = load(plain, "The type of an array") if isinstance(plain, bytes) else _numpy().dtype(plain)
    return cast("np.dtype[Any]", dtype)


def _numpy() -> Any:
    try:
        import numpy  # noqa: ICN001, PLC0415  only for values that hold arrays
    except ImportError as error:
        raise MissingModule(
            "A value is a numpy array, and numpy is not installed here. Install it on this worker."
        ) from error
    return numpy
