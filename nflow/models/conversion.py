"""From the text of a command line to the type that a parameter is declared with."""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from enum import Enum
from types import GenericAlias
from typing import Any, TypeAlias, TypeVar

from nflow.models.place import told

EnumT = TypeVar("EnumT", bound=Enum)

Type: TypeAlias = type | GenericAlias | Callable[[Any], object]
"""What a value can be converted to: a class, a list of some type such as `list[int]`, or a function of the text."""

_TRUE = ("true", "1", "yes", "y")
_FALSE = ("false", "0", "no", "n")
_BASIC = (int, float, str)
_LAMBDA = "<lambda>"


def converted(value: Any, type_: Any) -> object:
    """`value` as `type_`, which is a `Type`.

    Lists are written with commas between their elements, or as JSON; dicts as JSON; dates and times as in ISO 8601;
    members of an Enum by name or by value. A value that has its type already stays as it is.

    Raises:
        ValueError, TypeError, OverflowError: it cannot be read so. A function of the user's may raise anything.
    """
    if type_ is bool:
        return _truth(value)
    if type_ in _BASIC:
        return type_(value)
    if type_ is list or isinstance(type_, GenericAlias):
        return _list(value, type_)
    if not isinstance(type_, type):
        return type_(value)
    return value if isinstance(value, type_) else _instance(value, type_)


def type_name(type_: Type) -> str:
    """What a person would call it: `int`, `list[Path]`, `one of red, green`; `function`, if it has no name."""
    if is_nameless(type_):
        return "function"
    if isinstance(type_, type) and issubclass(type_, Enum):
        return f"one of {', '.join(type_.__members__)}"
    if isinstance(type_, GenericAlias):
        return f"{type_.__origin__.__name__}[{', '.join(map(type_name, type_.__args__))}]"
    return str(getattr(type_, "__name__", "function"))


def is_nameless(type_: Type) -> bool:
    """Whether it is a function that nobody has given a name, such as a lambda."""
    return not isinstance(type_, type | GenericAlias) and getattr(type_, "__name__", _LAMBDA) == _LAMBDA


def converter(type_: Type) -> str:
    """What a person would call a function without a name that converts values: by its place."""
    code = getattr(type_, "__code__", None)
    return "a function" if code is None else f"the function in {told(code.co_filename, code.co_firstlineno)}"


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE:
        return True
    if isinstance(value, str) and value.lower() in _FALSE:
        return False
    raise ValueError(value)


def _list(value: object, type_: Any) -> list[object]:
    if isinstance(type_, GenericAlias) and type_.__origin__ is not list:
        raise TypeError(f"{type_name(type_)} is no list")
    [element] = type_.__args__ if isinstance(type_, GenericAlias) else [str]
    if isinstance(value, str):
        return [converted(part, element) for part in _parts(value)]
    if not isinstance(value, Sequence):
        raise TypeError(value)
    return [converted(part, element) for part in value] if isinstance(type_, GenericAlias) else list(value)


def _parts(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        parts = json.loads(text)
        assert isinstance(parts, list)
        return parts
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _instance(value: Any, kind: type[Any]) -> object:
    if issubclass(kind, Enum):
        return _member(value, kind)
    if issubclass(kind, datetime | date | time) and isinstance(value, str):
        return kind.fromisoformat(value.strip())
    if kind is dict and isinstance(value, str):
        return dict(json.loads(value))
    return kind(value)


def _member(value: object, kind: type[EnumT]) -> EnumT:
    by_name = kind.__members__.get(str(value))
    if by_name is not None:
        return by_name
    by_value = [member for member in kind if member.value == value or str(member.value) == str(value)]
    if not by_value:
        raise ValueError(value)
    return by_value[0]
