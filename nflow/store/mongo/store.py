"""The store on MongoDB: one log for each top-level key of a run; see `log`."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from nflow.core.dataset import Ref, Tree
from nflow.core.ids import RunId
from nflow.errors import StoreTypeError
from nflow.store.fold import Entry, folded, large_in
from nflow.store.mongo.connection import Connection
from nflow.store.mongo.documents import read_name
from nflow.store.mongo.log import Log
from nflow.store.mongo.moving import LONG
from nflow.store.mongo.place import Place, Sight
from nflow.store.mongo.standing import standing
from nflow.store.port import DATA, Discard, Once, keep
from nflow.store.tree import is_number, is_same, parts_of, reach, shown
from nflow.wire.entries import Added, Appended, Gone, Set
from nflow.wire.values import inline

_EMPTY_LIST: Tree = []
_ZERO: Tree = inline(0)

#: Logs, and keys with what they hold, that are remembered.
_LOGS = 1024


class MongoStore:
    """Data of runs in a database of MongoDB."""

    def __init__(self, connection: Connection, *, tail: int = LONG) -> None:
        self.on_void: Discard = keep
        self._connection = connection
        self._tail = tail
        self._logs: OrderedDict[tuple[RunId, str, str], _Keys] = OrderedDict()

    async def get(self, run: RunId, key: str, *, section: str = DATA) -> Tree | None:
        """What is at a dotted key; None if nothing is."""
        keys, place = self._at(run, section, key)
        return _held((await keys.log.look(place)).entries, place)

    async def whole(self, run: RunId, *, section: str = DATA) -> dict[str, Tree]:
        """All that a section holds."""
        tops = await self._connection.run(lambda: self._tops(run, section))
        root: dict[str, Tree] = {}
        for top in tops:
            keys = self._keys(run, section, top)
            root |= folded(standing((await keys.log.look(Place([top]))).entries))
        return root

    async def set(self, run: RunId, key: str, value: Tree, *, section: str = DATA) -> None:
        """Put `value` at a dotted key."""
        keys, place = self._at(run, section, key)
        async with keys.log.turn():
            while True:
                sight = await keys.log.look(place)
                _refuse_below_value(sight, place, key)
                if await keys.log.append(Set(value=value), place, sight, "above") is not None:
                    break
        await self._void(sight, place)

    async def delete(self, run: RunId, key: str, *, section: str = DATA) -> bool:
        """Remove what is at a dotted key; whether there was anything."""
        keys, place = self._at(run, section, key)
        async with keys.log.turn():
            while True:
                sight = await keys.log.look(place)
                if _held(sight.entries, place) is None:
                    return False
                if await keys.log.append(Gone(), place, sight, "around") is not None:
                    break
        await self._void(sight, place)
        return True

    async def extend(
        self, run: RunId, key: str, values: Sequence[Tree], *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Append to the list at a dotted key."""
        change = Appended(values=list(values), once=_whose(once))
        await self._add(run, key, section, change, _EMPTY_LIST)

    async def increment(
        self, run: RunId, key: str, by: float, *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Add to the number at a dotted key."""
        await self._add(run, key, section, Added(by=by, once=_whose(once)), _ZERO)

    async def compare_and_set(
        self, run: RunId, key: str, expected: Tree | None, value: Tree, *, section: str = DATA
    ) -> bool:
        """Put `value` at a dotted key if `expected` is there; whether it was."""
        keys, place = self._at(run, section, key)
        async with keys.log.turn():
            while True:
                sight = await keys.log.look(place)
                if not is_same(_held(sight.entries, place), expected):
                    return False
                _refuse_below_value(sight, place, key)
                if await keys.log.append(Set(value=value), place, sight, "around") is not None:
                    break
        await self._void(sight, place)
        return True

    async def seed(self, run: RunId, values: Mapping[str, Ref]) -> None:
        """Set the parameters of a run, each under its name."""
        for name, value in values.items():
            await self.set(run, name, value)

    async def runs(self) -> frozenset[RunId]:
        """See the port."""
        return frozenset(map(RunId, await self._connection.run(self._connection.runs)))

    async def drop(self, run: RunId) -> None:
        """Forget all data of a run."""
        await self._connection.run(lambda: self._connection.forget(run))

    async def close(self) -> None:
        """Finish what is done in the background, and close the connection."""
        for keys in self._logs.values():
            await keys.log.close()
        await self._connection.close()

    async def _void(self, sight: Sight, place: Place) -> None:
        """A change has taken the place of all that was seen of a key: nothing leads to its large values any more."""
        own = tuple(place.parts)
        old = (entry.change for entry in standing(sight.entries) if entry.path[: len(own)] == own)
        refs = {ref.where: ref for change in old for ref in large_in(change)}
        if refs:
            await self.on_void(refs.values())

    async def _tops(self, run: RunId, section: str) -> list[str]:
        heads = await self._connection.heads.find({"run": run, "section": section}, {"top": 1}).to_list()
        return [read_name(head["top"]) for head in heads]

    async def _add(self, run: RunId, key: str, section: str, change: Appended | Added, empty: Tree) -> None:
        keys, place = self._at(run, section, key)
        known = place.own, isinstance(change, Added)
        async with keys.log.turn():
            while True:
                sight = keys.known.get(known) or await self._ready(keys.log, place, key, empty)
                count = await keys.log.append(change, place, sight, "own")
                if count is not None:
                    # Nothing that matters came between: what was known before is still known.
                    keys.remember(known, Sight(life=sight.life, seen=count, entries=[]))
                    return
                keys.known.pop(known, None)

    async def _ready(self, log: Log, place: Place, key: str, empty: Tree) -> Sight:
        """What was seen of a key when it held something of the right kind, if only `empty`."""
        is_right, wrong = _KINDS[isinstance(empty, list)]
        while True:
            sight = await log.look(place, values_only=True)
            _refuse_below_value(sight, place, key)
            there = _held(sight.entries, place)
            if there is None:  # unless parts of it were set by themselves
                sight = await log.look(place)
                there = _held(sight.entries, place)
            if there is None:
                await log.append(Set(value=empty), place, sight, "around")
            elif is_right(there):
                return sight
            else:
                raise StoreTypeError(f"The key {shown(key)} of the store holds {wrong}. Choose another key.")

    def _at(self, run: RunId, section: str, key: str) -> tuple["_Keys", Place]:
        parts = parts_of(key)
        return self._keys(run, section, parts[0]), Place(parts)

    def _keys(self, run: RunId, section: str, top: str) -> "_Keys":
        name = run, section, top
        if name not in self._logs:
            self._logs[name] = _Keys(Log(self._connection, run, section, top, tail=self._tail))
        self._logs.move_to_end(name)
        if len(self._logs) > _LOGS:
            self._logs.popitem(last=False)
        return self._logs[name]


class _Keys:
    """A log, and what is known of keys in it: so that one more push need not look first."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.known: OrderedDict[tuple[str, bool], Sight] = OrderedDict()

    def remember(self, name: tuple[str, bool], sight: Sight) -> None:
        there = self.known.get(name)
        if there is None or there.seen < sight.seen:
            self.known[name] = sight
        if len(self.known) > _LOGS:
            self.known.popitem(last=False)


_KINDS: Mapping[bool, tuple[Callable[[Tree], bool], str]] = {
    True: (lambda tree: isinstance(tree, list), "no list"),
    False: (is_number, "no number"),
}


def _held(entries: Sequence[Entry], place: Place) -> Tree | None:
    return reach(folded(standing(entries)), place.parts)


def _refuse_below_value(sight: Sight, place: Place, key: str) -> None:
    """Raise StoreTypeError where a key above this one holds a value, which has no parts."""
    root = folded(standing(sight.entries))
    for end in range(1, len(place.parts)):
        if not isinstance(reach(root, place.parts[:end]), dict | None):
            above = ".".join(place.parts[:end])
            raise StoreTypeError(
                f"The key {shown(key)} cannot be set: {shown(above)} holds a value, which has no parts. "
                "Choose another key, or delete that one first."
            )


def _whose(once: Once | None) -> tuple[str, int] | None:
    return None if once is None else (once.writer, once.number)
