"""Dotted keys in a tree: reaching, putting and appending. Pure; every change returns a new tree."""

from collections.abc import Sequence

from nflow.core.dataset import Tree
from nflow.errors import StoreTypeError


def parts_of(key: str) -> list[str]:
    """The parts of a dotted key.

    Raises:
        StoreTypeError: the key is no string, or a part of it is empty.
    """
    if not isinstance(key, str):
        raise StoreTypeError(f"A key of the store is a string such as 'sample.name', not {type(key).__name__}.")
    parts = key.split(".")
    if not all(parts):
        raise StoreTypeError(f"The key {key!r} of the store has an empty part. Write it like 'sample.name'.")
    return parts


def reach(tree: Tree | None, parts: Sequence[str]) -> Tree | None:
    """What is at `parts` below `tree`; None if nothing is."""
    for part in parts:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def put(tree: Tree | None, parts: Sequence[str], value: Tree) -> Tree:
    """`tree` with `value` at `parts`; missing parents are made."""
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise StoreTypeError(f"'{first}' cannot be set below a value that is no dict. Choose another key.")
    return {**tree, first: put(tree.get(first), rest, value)}


def extend(tree: Tree | None, parts: Sequence[str], values: Sequence[Tree]) -> Tree:
    """`tree` with `values` appended to the list at `parts`, which is made if there is none."""
    there = reach(tree, parts)
    if there is not None and not isinstance(there, list):
        raise StoreTypeError(f"'{'.'.join(parts) or 'it'}' holds a value that is no list; nothing can be pushed to it.")
    return put(tree, parts, [*(there or []), *values])
