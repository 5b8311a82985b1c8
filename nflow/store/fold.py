"""From the changes that a bucket holds to the tree that they add up to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nflow.core.dataset import INLINE, Ref, Tree
from nflow.store.tree import added, copied, is_number, put, reach, refs_in, remove
from nflow.wire.entries import Added, Appended, Change, Gone, Set


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A change, as it is stored."""

    path: tuple[str, ...]
    change: Change
    seq: int

    @property
    def at(self) -> tuple[int, bool]:
        """Where it stands among others: a summary stands behind the last change that it sums up."""
        if isinstance(self.change, Set) and self.change.through is not None:
            return self.change.through, True
        return self.seq, False


def folded(entries: Iterable[Entry]) -> dict[str, Tree]:
    """The tree that all of them make up. Where two that came at once do not go together, the later one counts."""
    root: dict[str, Tree] = {}
    counted: dict[tuple[str, ...], Mapping[str, int]] = {}
    for entry in sorted(entries, key=lambda entry: entry.at):
        match entry.change:
            case Set(value=value, once=once):
                put(root, entry.path, copied(value))
                counted[entry.path] = once
            case Appended(once=(writer, number)) | Added(once=(writer, number)) if number <= counted.get(
                entry.path, {}
            ).get(writer, 0):
                pass  # an attempt that was repeated while its change was being summed up
            case Gone():
                remove(root, entry.path)
            case Appended(values=values):
                _append(root, entry.path, values)
            case Added(by=by):
                there = reach(root, entry.path)
                if there is None or is_number(there):
                    put(root, entry.path, added(there, by))
    return root


def _append(root: dict[str, Tree], path: tuple[str, ...], values: list[Tree]) -> None:
    there = reach(root, path)
    if isinstance(there, list):
        there.extend(values)
    elif there is None:
        put(root, path, list(values))


def large_in(change: Change) -> list[Ref]:
    """The references of a change to values that are kept elsewhere."""
    match change:
        case Set(value=value):
            trees = [value]
        case Appended(values=values):
            trees = values
        case _:
            trees = []
    return [ref for tree in trees for ref in refs_in(tree) if ref.scheme != INLINE]
