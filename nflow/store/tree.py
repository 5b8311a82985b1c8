"""Dotted keys in a tree: reaching, putting, appending, adding, removing. Pure; every change is made in place."""

from collections.abc import Iterator, Sequence

from nflow.core.dataset import INLINE, Ref, Tree
from nflow.core.keys import fault_of
from nflow.errors import StoreTypeError
from nflow.wire.entries import canonical
from nflow.wire.values import decode, inline

#: The types whose values can be added up.
_NUMBERS = ("int", "float")


def parts_of(key: str) -> list[str]:
    """The parts of a dotted key.

    Raises:
        StoreTypeError: the key is no string, a part of it is empty, or it is too long.
    """
    if not isinstance(key, str):
        raise StoreTypeError(f"A key of the store is text such as 'sample.name', not {type(key).__name__}.")
    if fault := fault_of(key):
        raise StoreTypeError(f"The key {shown(key)} of the store {fault}")
    return key.split(".")


def shown(key: str) -> str:
    """A key in a message: cut, where it is very long."""
    return repr(key) if len(key) <= 100 else f"{key[:100]!r}… ({len(key)} characters)"


def reach(tree: Tree | None, parts: Sequence[str]) -> Tree | None:
    """What is at `parts` below `tree`; None if nothing is."""
    for part in parts:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def copied(tree: Tree) -> Tree:
    """A tree that can be changed without changing the one it was made of."""
    match tree:
        case dict():
            return {key: copied(below) for key, below in tree.items()}
        case list():
            return [copied(below) for below in tree]
    return tree


def put(root: dict[str, Tree], parts: Sequence[str], value: Tree) -> None:
    """Put `value` at `parts`; parents are made, also in place of a value that has no parts."""
    *path, last = parts
    for part in path:
        below = root.get(part)
        if not isinstance(below, dict):
            below = root[part] = {}
        root = below
    root[last] = value


def remove(root: dict[str, Tree], parts: Sequence[str]) -> None:
    """Remove what is at `parts`, if anything is, and the parents that are empty then."""
    for end in range(len(parts) - 1, -1, -1):
        parent = reach(root, parts[:end])
        if isinstance(parent, dict):
            parent.pop(parts[end], None)
        if parent:
            return


def leaves(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted keys of all values; a list is one value, and so is an empty dict."""
    if not isinstance(tree, dict) or (not tree and path):
        yield ".".join(path)
        return
    for part, below in tree.items():
        yield from leaves(below, (*path, part))


def refs_in(tree: Tree | None) -> Iterator[Ref]:
    """All references of a tree."""
    match tree:
        case Ref():
            yield tree
        case dict():
            for below in tree.values():
                yield from refs_in(below)
        case list():
            for below in tree:
                yield from refs_in(below)


def is_same(mine: Tree | None, theirs: Tree | None) -> bool:
    """Whether both hold the same. A stored None counts as nothing."""
    return canonical(_nothing(mine)) == canonical(_nothing(theirs))


def is_number(tree: Tree | None) -> bool:
    """Whether it can be added to."""
    return isinstance(tree, Ref) and tree.scheme == INLINE and tree.type in _NUMBERS


def added(tree: Tree | None, by: float) -> Ref:
    """A number with something added to it; nothing counts as 0."""
    if tree is None:
        return inline(by)
    assert isinstance(tree, Ref)
    assert isinstance(tree.where, bytes)
    number = decode(tree.where)
    assert isinstance(number, int | float)
    return inline(number + by)


def _nothing(tree: Tree | None) -> Tree | None:
    return None if isinstance(tree, Ref) and tree.type == "none" else tree
