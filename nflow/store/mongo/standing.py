"""What counts among the changes of a log. Pure."""

from collections.abc import Iterable, Sequence

from nflow.store.fold import Entry
from nflow.wire.entries import Added, Appended, Gone, Set


def standing(entries: Iterable[Entry]) -> list[Entry]:
    """Those that count, in order: no later value has taken their place, and no earlier attempt has made them."""
    kept: list[Entry] = []
    replaced: set[tuple[str, ...]] = set()
    for entry in sorted(entries, key=lambda entry: entry.at, reverse=True):
        if any(entry.path[:end] in replaced for end in range(1, len(entry.path) + 1)):
            continue
        kept.append(entry)
        if isinstance(entry.change, Set | Gone):
            replaced.add(entry.path)
    return _counted_once(reversed(kept))


def _counted_once(entries: Iterable[Entry]) -> list[Entry]:
    kept, made = [], set()
    for entry in entries:
        match entry.change:
            case Appended(once=once) | Added(once=once) if once is not None:
                if (entry.path, once) in made:
                    continue
                made.add((entry.path, once))
        kept.append(entry)
    return kept


def counted(entries: Sequence[Entry]) -> dict[str, int]:
    """By writer the last change of a key that counts once."""
    last: dict[str, int] = {}
    for entry in entries:
        match entry.change:
            case Set(once=earlier):
                last |= earlier
            case Appended(once=(writer, number)) | Added(once=(writer, number)):
                last[writer] = max(number, last.get(writer, 0))
    return last
