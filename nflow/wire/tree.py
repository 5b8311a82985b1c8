"""Trees of references ⇄ bytes: what the store keeps."""

from typing import Any, cast

import msgpack

from nflow.core.dataset import Ref, Tree
from nflow.errors import BrokenMessage

_REF, _DICT, _LIST = 0, 1, 2


def pack_tree(tree: Tree) -> bytes:
    """`tree` as bytes; references stay references."""
    return cast("bytes", msgpack.packb(_flat(tree)))


def unpack_tree(payload: bytes) -> Tree:
    """The reverse.

    Raises:
        BrokenMessage: these bytes are no tree.
    """
    try:
        return _tree(msgpack.unpackb(payload, strict_map_key=False))
    except (ValueError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise BrokenMessage(f"An entry of the store cannot be read: {error}.") from error


def pack_ref(ref: Ref) -> bytes:
    """A reference on its own, which is the smallest tree."""
    return pack_tree(ref)


def unpack_ref(payload: bytes) -> Ref:
    """The reverse of `pack_ref`. Raises BrokenMessage."""
    ref = unpack_tree(payload)
    if not isinstance(ref, Ref):
        raise BrokenMessage("Where a reference was expected there is a tree of them.")
    return ref


def _flat(tree: Tree) -> list[Any]:
    if isinstance(tree, Ref):
        return [_REF, tree.scheme, tree.where, tree.size_bytes, tree.digest, tree.type]
    if isinstance(tree, dict):
        return [_DICT, {key: _flat(value) for key, value in tree.items()}]
    return [_LIST, [_flat(value) for value in tree]]


def _tree(flat: list[Any]) -> Tree:
    if flat[0] == _REF:
        _, scheme, where, size_bytes, digest, type_ = flat
        return Ref(scheme=scheme, where=where, size_bytes=size_bytes, digest=digest, type=type_)
    if flat[0] == _DICT:
        return {key: _tree(value) for key, value in flat[1].items()}
    return [_tree(value) for value in flat[1]]
