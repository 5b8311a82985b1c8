"""Values of users ⇄ what JSON has words for. What it has none for is told as Python writes it, and noted."""

import base64
import json
import math
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import PurePath
from typing import Any

#: Deeper than this a value may have no end.
_DEEPEST = 200

#: Numbers of an array that are shown to a person.
_FEW = 64


class Plain:
    """Makes plain values, and remembers what did not go without loss."""

    def __init__(self) -> None:
        self._lossy: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    @property
    def notes(self) -> list[str]:
        """What a person should know of the result."""
        return [
            f"'{self._first[kind]}' is {kind}" + (f"; so are {count - 1} more values" if count > 1 else "")
            for kind, count in self._lossy.items()
        ]

    def of(self, value: object, at: str, depth: int = 0) -> Any:
        """`value`, which is at the key `at`, in words of JSON."""
        if depth > _DEEPEST:
            return self._as_python(value, at)
        match value:
            case list() | tuple() | set() | frozenset():
                return [self.of(each, at, depth + 1) for each in value]
            case Mapping():
                return {self._key(key, at): self.of(each, f"{at}.{key}", depth + 1) for key, each in value.items()}
        if is_numeric(value):
            return self.of(value.tolist(), at, depth + 1)  # type: ignore[attr-defined] # arrays and their scalars have it
        return self._single(value, at)

    def _single(self, value: object, at: str) -> Any:
        if value is None or type(value) in (bool, int, str, float):
            return self._nothing(value, at) if isinstance(value, float) and not math.isfinite(value) else value
        match value:
            case bytes() | bytearray():
                return base64.b64encode(value).decode()
            case datetime() | date() | time():
                return value.isoformat()
            case timedelta():
                return value.total_seconds()
            case PurePath():
                return str(value)
        return self._as_python(value, at)

    def _key(self, key: object, at: str) -> str:
        return key if isinstance(key, str) else str(self.of(key, at) if isinstance(key, int | float) else repr(key))

    def _nothing(self, value: float, at: str) -> None:
        self._note(f"{value}, shown as null", at)

    def _as_python(self, value: object, at: str) -> str:
        self._note(f"of the type {type(value).__name__}, shown as Python writes it", at)
        return repr(value)

    def _note(self, kind: str, at: str) -> None:
        self._lossy[kind] += 1
        self._first.setdefault(kind, at)


def is_numeric(value: object) -> bool:
    """Whether it is an array or a scalar of numpy, which need not be installed to find out."""
    return type(value).__module__ == "numpy" and hasattr(value, "tolist")


def written(plain: object) -> str:
    """Plain values as JSON."""
    return json.dumps(plain, indent=2, ensure_ascii=False)


def shown(value: object, plain: Plain, at: str) -> str:
    """A value for a person: text as it is, arrays by their kind and, if they are short, their numbers."""
    if isinstance(value, str):
        return value
    if is_numeric(value) and getattr(value, "shape", None):
        return _shown_array(value)
    return written(plain.of(value, at))


def parsed(text: str) -> object:
    """What a person has typed: JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown_array(array: Any) -> str:
    title = f"{array.dtype} array of shape {'x'.join(map(str, array.shape))}"
    return f"{title}\n{array}" if array.size <= _FEW else title
