"""Hints for people ⇄ bytes: what key-value buckets hold of runs and workers, as maps of plain values.

They are no truth, so reading them is lenient where it can be: a newer nflow may add fields, which are left out here.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import msgpack

from nflow.errors import BrokenMessage
from nflow.wire.shapes import MisfitError, reader_of

T = TypeVar("T")


def pack_hint(hint: object) -> bytes:
    """A dataclass as a map of its fields."""
    given = {field.name: getattr(hint, field.name) for field in fields(hint)}  # type: ignore[arg-type] # any dataclass
    packed: bytes = msgpack.packb(given, unicode_errors="surrogatepass")  # reasons quote names of files
    return packed


def unpack_hint(payload: bytes, kind: type[T]) -> T:
    """The dataclass of this `kind` whose fields were packed.

    Raises:
        BrokenMessage: it is none: a field is missing, or of another type.
    """
    try:
        given = msgpack.unpackb(payload, use_list=False, strict_map_key=False, unicode_errors="surrogatepass")
        return _read(given, kind)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BrokenMessage(f"These {len(payload)} bytes are no {kind.__name__}: {error}.") from error


def _read(given: Any, kind: type[T]) -> T:
    if not isinstance(given, Mapping):
        raise MisfitError(f"it is of type {type(given).__name__}")
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type] # any dataclass
    known = [name for name in names if name in given]
    if known != names[: len(known)]:
        missing = next(name for name in names if name not in given)
        raise MisfitError(f"it lacks {missing}")
    read: T = reader_of(kind)(tuple(given[name] for name in known))
    return read
