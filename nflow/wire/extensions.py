"""What msgpack does not know of Python's own types: each with a number on the wire, and a way out and back.

Each function out makes plain values of one; the function back takes exactly these. Numbers are never used again for
something else; a reader that does not know one says that it is too old.
"""

import struct
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any

TUPLE, SET, FROZENSET, BIG_INT, COMPLEX, BYTEARRAY, PATH, DATETIME, DATE, TIME, TIMEDELTA = range(1, 12)
ARRAY, SCALAR, PICKLE, BUFFER = 20, 21, 22, 23

NAMES = {
    TUPLE: "tuple",
    SET: "set",
    FROZENSET: "frozenset",
    BIG_INT: "int",
    COMPLEX: "complex",
    BYTEARRAY: "bytearray",
    PATH: "path",
    DATETIME: "datetime",
    DATE: "date",
    TIME: "time",
    TIMEDELTA: "timedelta",
    ARRAY: "numpy",
    SCALAR: "numpy",
    PICKLE: "pickle",
}
"""What `Ref.type` calls values of each number."""


class Unsuited(Exception):
    """This value needs pickle."""


def big_int_out(value: int) -> bytes:
    """An integer of more than 64 bits."""
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def big_int_back(data: bytes) -> int:
    """The same, back."""
    return int.from_bytes(data, "little", signed=True)


def _complex_back(data: bytes) -> complex:
    return complex(*struct.unpack("<2d", data))


def _path_out(value: PurePath) -> list[object]:
    return [type(value).__name__, str(value)]


def _path_back(plain: list[Any]) -> PurePath:
    name, text = plain
    kind = _PATHS[name]
    try:
        return kind(text)
    except NotImplementedError:  # a path of another system: its parts can still be told apart
        return _PATHS[f"Pure{name}"](text)


def _datetime_out(value: datetime) -> list[object]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, *_zone_out(value)]


def _datetime_back(plain: list[Any]) -> datetime:
    text, fold, *zone = plain
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=_zone_back(zone))


def _time_out(value: time) -> list[object]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, *_zone_out(value)]


def _time_back(plain: list[Any]) -> time:
    text, fold, *zone = plain
    return time.fromisoformat(text).replace(fold=fold, tzinfo=_zone_back(zone))


def _zone_out(moment: datetime | time) -> list[object]:
    """A zone by its name, beside its offset: for the place that does not know the name."""
    zone: Any = moment.tzinfo
    if zone is None:
        return []
    zoneinfo = sys.modules.get("zoneinfo")
    is_named = zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo
    if not is_named and type(zone) is not timezone:
        raise Unsuited
    offset = moment.utcoffset()
    microseconds = None if offset is None else offset // timedelta(microseconds=1)
    return [zone.key, microseconds] if is_named else [None, microseconds, *zone.__getinitargs__()[1:]]


def _zone_back(plain: list[Any]) -> tzinfo | None:
    if not plain:
        return None
    key, microseconds, *names = plain
    if key is not None:
        import zoneinfo  # noqa: PLC0415  few values need it

        try:
            return zoneinfo.ZoneInfo(key)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            names = [key]
    return None if microseconds is None else timezone(timedelta(microseconds=microseconds), *names)


_PATHS: dict[str, type[PurePath]] = {
    kind.__name__: kind for kind in (PurePosixPath, PureWindowsPath, PosixPath, WindowsPath)
}

OUT: dict[type, tuple[int, Callable[[Any], object]]] = {
    tuple: (TUPLE, list),
    set: (SET, list),
    frozenset: (FROZENSET, list),
    complex: (COMPLEX, lambda value: struct.pack("<2d", value.real, value.imag)),
    bytearray: (BYTEARRAY, bytes),
    datetime: (DATETIME, _datetime_out),
    date: (DATE, date.isoformat),
    time: (TIME, _time_out),
    timedelta: (TIMEDELTA, lambda value: [value.days, value.seconds, value.microseconds]),
    **dict.fromkeys(_PATHS.values(), (PATH, _path_out)),
}
"""For exactly these types: their number, and what makes plain values of one (or raises `Unsuited`)."""

BACK: dict[int, Callable[[Any], object]] = {
    TUPLE: tuple,
    SET: set,
    FROZENSET: frozenset,
    BIG_INT: big_int_back,
    COMPLEX: _complex_back,
    BYTEARRAY: lambda plain: bytearray(memoryview(plain)),
    PATH: _path_back,
    DATETIME: _datetime_back,
    DATE: date.fromisoformat,
    TIME: _time_back,
    TIMEDELTA: lambda plain: timedelta(*plain),
}
"""For each number: what makes the value of its plain values."""
