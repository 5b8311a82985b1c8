"""Dataclasses ⇄ rows of plain values, by their type hints.

A row is read as strictly as the hints say, for what passes here is trusted by everything after. A worker reads several
rows for every task it runs, so readers are compiled once for each class, as `dataclasses` compiles its methods.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NewType, Union, cast, get_args, get_origin, get_type_hints

Row = tuple[object, ...]
Read = Callable[[Any], Any]


class MisfitError(ValueError):
    """A row that does not fit its class. `str()` says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Part:
    """How values of one type hint travel: as one of these plain types, and through `read` where that is not all."""

    plain: frozenset[type]
    read: Read | None = None  #: checks a value and makes it whole; never sees None


def row_of(kind: type, *, named: bool = False) -> Callable[[Any], Row]:
    """What turns an instance of the dataclass `kind` into its row, with the name of the class in front if `named`.

    Dataclasses within are left as they are.
    """
    names = [field.name for field in fields(kind)]
    if named:
        return cast("Callable[[Any], Row]", attrgetter("__class__.__name__", *names))
    if len(names) == 1:
        return lambda value: (getattr(value, names[0]),)
    return cast("Callable[[Any], Row]", attrgetter(*names))


def reader_of(kind: type) -> Read:
    """What turns a row back into an instance of the dataclass `kind`, or raises `MisfitError`."""
    if kind not in _READERS:
        _READERS[kind] = _reader_of(kind)
    return _READERS[kind]


_READERS: dict[type, Read] = {}


def _reader_of(kind: type) -> Read:
    hints = get_type_hints(kind)
    parts = {field.name: _part(hints[field.name]) for field in fields(kind)}
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}

    def read_odd(row: Any) -> Any:
        """Take a row that is longer or shorter than it is written here, or say what is wrong with it."""
        if type(row) is not tuple:
            raise MisfitError(f"a {kind.__name__} is of type {type(row).__name__}")
        if missing := required.difference(list(parts)[: len(row)]):
            raise MisfitError(f"a {kind.__name__} lacks {', '.join(sorted(missing))}")
        given = {}
        for (name, part), value in zip(parts.items(), row, strict=False):
            if type(value) not in part.plain:
                raise MisfitError(f"{name} of a {kind.__name__} is of type {type(value).__name__}")
            given[name] = value if part.read is None or value is None else part.read(value)
        return kind(**given)

    return _compiled(kind, parts, read_odd)


def _compiled(kind: type, parts: Mapping[str, Part], read_odd: Read) -> Read:
    """`read_odd`, unrolled for a row that is as it should be.

    It fills the slots by itself: in half the time of a frozen dataclass's `__init__`, which would do nothing else.
    """
    assert not hasattr(kind, "__post_init__"), f"{kind.__name__} must be plain data"
    known: dict[str, object] = {"kind": kind, "new": object.__new__, "read_odd": read_odd}
    fits, fills = [], []
    for at, (name, part) in enumerate(parts.items()):
        known |= {f"set_{at}": getattr(kind, name).__set__, f"plain_{at}": part.plain, f"read_{at}": part.read}
        fits.append(f"type(v{at}) in plain_{at}")
        value = f"v{at}" if part.read is None else f"read_{at}(v{at})"
        if part.read is not None and NoneType in part.plain:
            value = f"None if v{at} is None else {value}"
        fills.append(f"set_{at}(whole, {value})")
    source = [
        "def read(row):",
        f"    if type(row) is not tuple or len(row) != {len(parts)}:",
        "        return read_odd(row)",
        f"    {''.join(f'v{at}, ' for at in range(len(parts)))} = row",
        f"    if not ({' and '.join(fits)}):",
        "        return read_odd(row)",
        "    whole = new(kind)",
        *(f"    {fill}" for fill in fills),
        "    return whole",
    ]
    exec("\n".join(source), known)  # noqa: S102  made of numbers alone; no name or value from outside gets in
    return cast("Read", known["read"])


# --- how one field travels -------------------------------------------------------------------------------------------

_SCALARS: dict[Any, Part] = {
    # a whole number is a good float, and what writers give where they mean one
    float: Part(frozenset({float, int})),
    **{kind: Part(frozenset({kind})) for kind in (int, str, bytes, bool, NoneType)},
}


def _part(hint: Any) -> Part:
    arguments = get_args(hint)
    match get_origin(hint):
        case None:
            return _single(hint)
        case origin if origin in {Union, UnionType}:
            return _union([_part(argument) for argument in arguments])
        case origin if origin is tuple and arguments[1:] == (...,):
            return _items(_part(arguments[0]))
        case origin if issubclass(origin, Mapping):
            return _map(_part(arguments[0]), _part(arguments[1]))
    raise TypeError(f"{hint} has no place in a message yet")


def _single(hint: Any) -> Part:
    if isinstance(hint, NewType):
        return _part(hint.__supertype__)
    if is_dataclass(hint):
        return Part(frozenset({tuple}), reader_of(cast("type", hint)))
    if issubclass(hint, Enum):
        return _choice({member.value: member for member in hint})
    return _SCALARS[hint]


def _choice(members: Mapping[object, Enum]) -> Part:
    def read(value: Any) -> Any:
        if value not in members:
            raise MisfitError(f"{value!r} is none of {', '.join(map(str, members))}")
        return members[value]

    return Part(frozenset(map(type, members)), read)


def _union(parts: list[Part]) -> Part:
    readers = [part.read for part in parts if part.read]
    plain = frozenset[type]().union(*(part.plain for part in parts))
    assert not readers or (len(parts) == 2 and NoneType in plain), "only None goes beside what must be read"
    return Part(plain, readers[0] if readers else None)


def _items(item: Part) -> Part:
    def read(values: Any) -> Any:
        _check("an item", item, values)
        return values if item.read is None else tuple(map(item.read, values))

    return Part(frozenset({tuple}), read)


def _map(key: Part, item: Part) -> Part:
    assert key.read is None, "a key is read as it is"

    def read(values: Any) -> Any:
        _check("a key", key, values)
        _check("a value", item, values.values())
        return values if item.read is None else {name: item.read(value) for name, value in values.items()}

    return Part(frozenset({dict}), read)


def _check(what: str, part: Part, values: Any) -> None:
    if not part.plain.issuperset(map(type, values)):
        wrong = sorted({type(value).__name__ for value in values if type(value) not in part.plain})
        raise MisfitError(f"{what} is of type {' or '.join(wrong)}")
