"""Changes of a store ⇄ bytes: what a key-value bucket holds.

Plain values are plain msgpack in them, `{"set": {"name": "LaB6", "energy": 12.4}}`, so that programs which know nothing
of nflow can read them too; what msgpack has no word for is an extension of type 64 that holds a reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import msgpack

from nflow.core.dataset import INLINE, Ref, Tree
from nflow.errors import BrokenMessage
from nflow.wire.extensions import NAMES
from nflow.wire.values import is_plain

#: A reference of this type holds several elements of a list, which are spliced into it.
ELEMENTS: Final = "elements"

_REF: Final = 64
_NATIVE: Final = frozenset({"none", "bool", "int", "float", "str", "bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A key got a value. With `through`, this sums up what the key held after the change of that sequence."""

    value: Tree
    through: int | None = None
    once: Mapping[str, int] = field(default_factory=dict)  #: by writer the last change that was summed up


@dataclass(frozen=True, slots=True)
class Gone:
    """A key was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Elements were appended to a list."""

    values: list[Tree]
    once: tuple[str, int] | None = None  #: whose change it was, and which


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Something was added to a number."""

    by: float
    once: tuple[str, int] | None = None


Change: TypeAlias = Set | Gone | Appended | Added


def pack_change(change: Change, path: list[str] | None = None) -> bytes:
    """A change, and its path where the subject does not tell it."""
    fields: dict[str, bytes] = {} if path is None else {"path": _pack(path)}
    match change:
        case Set(value=value, through=through, once=once):
            fields |= {"set": canonical(value)}
            fields |= {} if through is None else {"through": _pack(through), "once": _pack(dict(once))}
        case Gone():
            fields |= {"gone": _pack(True)}
        case Appended(values=values, once=whose):
            fields |= {"append": canonical(values)} | _whose(whose)
        case Added(by=by, once=whose):
            fields |= {"add": _pack(by)} | _whose(whose)
    head = cast("bytes", msgpack.Packer().pack_map_header(len(fields)))
    return head + b"".join(_pack(name) + packed for name, packed in fields.items())


def unpack_change(payload: bytes) -> tuple[Change, list[str] | None]:
    """The reverse.

    Raises:
        BrokenMessage: these bytes are no change.
    """
    try:
        fields = _unpack(payload)
        return _change(fields), fields.get("path")
    except (ValueError, TypeError, LookupError, AttributeError, msgpack.UnpackException) as error:
        raise BrokenMessage(f"An entry of the store cannot be read: {error}.") from error


def canonical(tree: Tree | None) -> bytes:
    """A tree as bytes; two that hold the same have the same bytes, in whatever order their keys were set."""
    if tree is None:
        return b"\xc1"  # what msgpack never uses
    if isinstance(tree, Ref):
        return _leaf(tree)
    packer = msgpack.Packer()
    if isinstance(tree, dict):
        pairs = sorted(_pack(key) + canonical(value) for key, value in tree.items())
        return cast("bytes", packer.pack_map_header(len(tree))) + b"".join(pairs)
    elements = [element for each in tree for element in _elements(each)]
    return cast("bytes", packer.pack_array_header(len(elements))) + b"".join(elements)


def _elements(tree: Tree) -> list[bytes]:
    """An element of a list, or all those that one reference holds."""
    if isinstance(tree, Ref) and tree.type == ELEMENTS and isinstance(tree.where, bytes) and is_plain(tree.where):
        elements = _unpack(tree.where)
        if isinstance(elements, list):  # one that holds itself was pickled whole
            return [canonical(_tree(element)) for element in elements]
    return [canonical(tree)]


def _leaf(ref: Ref) -> bytes:
    if ref.scheme == INLINE and ref.type in _NATIVE and isinstance(ref.where, bytes) and is_plain(ref.where):
        return ref.where
    fields = [ref.scheme, ref.where, ref.size_bytes, ref.digest, ref.type]
    return _pack(msgpack.ExtType(_REF, _pack(fields)))


def _change(fields: dict[str, Any]) -> Change:
    once = fields.get("once")
    match fields:
        case {"set": value}:
            return Set(value=_tree(value), through=fields.get("through"), once=once or {})
        case {"gone": _}:
            return Gone()
        case {"append": list(values)}:
            return Appended(values=[_tree(value) for value in values], once=tuple(once) if once else None)
        case {"add": int() | float() as by}:
            return Added(by=by, once=tuple(once) if once else None)
    raise ValueError(f"nothing that is known is in {sorted(fields)}")


def _tree(plain: Any) -> Tree:
    match plain:
        case dict():
            return {key: _tree(value) for key, value in plain.items()}
        case list():
            return [_tree(value) for value in plain]
        case msgpack.ExtType(code=code, data=data) if code == _REF:
            scheme, where, size_bytes, digest, type_ = _unpack(data)
            return Ref(scheme=scheme, where=where, size_bytes=size_bytes, digest=digest, type=type_)
    packed = _pack(plain)
    return Ref(scheme=INLINE, where=packed, size_bytes=len(packed), digest="", type=_type_of(plain))


def _type_of(plain: Any) -> str:
    if isinstance(plain, msgpack.ExtType):
        return NAMES[plain.code]
    return "none" if plain is None else type(plain).__name__


def _whose(once: tuple[str, int] | None) -> dict[str, bytes]:
    return {} if once is None else {"once": _pack(list(once))}


def _pack(plain: object) -> bytes:
    return cast("bytes", msgpack.packb(plain, unicode_errors="surrogatepass"))


def _unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, strict_map_key=False, unicode_errors="surrogatepass")
