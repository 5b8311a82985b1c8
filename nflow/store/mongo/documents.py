"""Changes of the store ⇄ what MongoDB keeps.

Plain values are MongoDB's own, so that other programs can read them. What it has no word for, such as a tuple, an
integer of more than 64 bits, a key with a `$` or a reference, is `{"nflow:type": "tuple", "nflow:data": <bytes>}`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson import Binary
from bson.binary import USER_DEFINED_SUBTYPE

from nflow.core.dataset import INLINE, Ref, Tree
from nflow.errors import BrokenMessage
from nflow.store.fold import Entry
from nflow.wire.digest import digest
from nflow.wire.entries import Added, Appended, Change, Gone, Set, pack_change, unpack_change
from nflow.wire.subjects import name_of, part_token
from nflow.wire.values import decode, inline

Document = dict[str, Any]

TYPE: Final = "nflow:type"
DATA: Final = "nflow:data"

#: MongoDB takes 100 levels, those around a value included.
_DEEPEST: Final = 50

_NATIVE: Final = frozenset({"none", "bool", "int", "float", "str", "bytes", "datetime"})


def address(parts: Sequence[str]) -> str:
    """The path of a key as text that begins like those of the keys above it: `sample.spectra.`."""
    return "".join(f"{part_token(part)}." for part in parts)


def document_of(change: Change, parts: Sequence[str]) -> Document:
    """A change of the key at `parts`."""
    plain, _ = unpack_change(pack_change(change))  # this takes elements that came as one reference apart
    document: Document = {"at": address(parts)}
    if any(name_of(part_token(part)) != part for part in parts):
        document["path"] = list(map(stored_name, parts))
    match plain:
        case Set(value=value, through=through, once=counted):
            document |= {"is": "set", "value": _out(value)}
            if through is not None:
                document |= {"through": through, "counted": [[_writer(name), last] for name, last in counted.items()]}
        case Gone():
            document |= {"is": "gone"}
        case Appended(values=values, once=once):
            document |= {"is": "append", "value": _out(values)} | _whose(once)
        case Added(by=by, once=once):
            document |= {"is": "add", "value": _out(inline(by))} | _whose(once)
    return document


def entry_of(document: Mapping[str, Any], seq: int) -> Entry:
    """The reverse.

    Raises:
        BrokenMessage: somebody else has written it, or a newer nflow.
    """
    try:
        return Entry(path=_path(document), change=_change(document), seq=seq)
    except (LookupError, TypeError, ValueError, AssertionError) as error:
        raise BrokenMessage(f"A change in the store's database cannot be read: {error}.") from error


def stored_name(name: str) -> str | bytes:
    """A name as MongoDB keeps it: as text, if it is."""
    return name if _is_text(name) else name.encode("utf-8", "surrogatepass")


def read_name(stored: str | bytes) -> str:
    """The reverse."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def _change(document: Mapping[str, Any]) -> Change:
    once = tuple(document["once"]) if "once" in document else None
    match document["is"]:
        case "set":
            through, counted = document.get("through"), dict(document.get("counted", ()))
            return Set(value=_in(document["value"]), through=through, once=counted)
        case "gone":
            return Gone()
        case "append":
            return Appended(values=[_in(element) for element in document["value"]], once=once)
        case "add":
            return Added(by=_number(document["value"]), once=once)
    raise ValueError(f"it is '{document['is']}'")


def _path(document: Mapping[str, Any]) -> tuple[str, ...]:
    if "path" in document:
        return tuple(map(read_name, document["path"]))
    return tuple(name_of(token) or token for token in document["at"].split(".")[:-1])


def _whose(once: tuple[str, int] | None) -> Document:
    return {} if once is None else {"once": [_writer(once[0]), once[1]]}


def _writer(name: str) -> str:
    """Who made a change; only ever compared, so a name that is no text to MongoDB may be its digest."""
    return name if _is_text(name) else digest(name.encode("utf-8", "surrogatepass"))


def _out(tree: Tree, depth: int = 0) -> Any:
    match tree:
        case Ref():
            return _leaf(tree)
        case dict() if depth < _DEEPEST and all(map(_is_field, tree)):
            return {key: _out(below, depth + 1) for key, below in tree.items()}
        case list() if depth < _DEEPEST:
            return [_out(below, depth + 1) for below in tree]
    return _packed(tree, "dict" if isinstance(tree, dict) else "list")


def _leaf(ref: Ref) -> Any:
    if ref.scheme == INLINE and ref.type in _NATIVE and isinstance(ref.where, bytes):
        value = decode(ref.where)
        if _fits(value):
            return value
    return _packed(ref, ref.type)


def _packed(tree: Tree, type_: str) -> Document:
    return {TYPE: type_, DATA: Binary(pack_change(Set(value=tree)), USER_DEFINED_SUBTYPE)}


def _fits(value: object) -> bool:
    """Whether MongoDB gives it back as it was."""
    match value:
        case bool() | None | float() | bytes():
            return True
        case int():
            return -(2**63) <= value < 2**63
        case str():
            return _is_text(value)
        case datetime():
            return value.tzinfo is None and value.microsecond % 1000 == 0 and not value.fold
    return False


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_field(key: object) -> bool:
    """Whether it can be the name of a field, and is not taken for an operator, a path, or a word of nflow's own."""
    return (
        isinstance(key, str)
        and _is_text(key)
        and not key.startswith(("$", "nflow:"))
        and "." not in key
        and "\0" not in key
    )


def _in(plain: Any) -> Tree:
    match plain:
        case {"nflow:data": data}:
            change, _ = unpack_change(bytes(data))
            assert isinstance(change, Set)
            return change.value
        case dict():
            return {key: _in(below) for key, below in plain.items()}
        case list():
            return [_in(below) for below in plain]
    return inline(plain)


def _number(plain: Any) -> float:
    if type(plain) in (int, float):
        return float(plain) if type(plain) is float else int(plain)
    tree = _in(plain)
    assert isinstance(tree, Ref)
    assert isinstance(tree.where, bytes)
    number = decode(tree.where)
    assert isinstance(number, int | float)
    return number
