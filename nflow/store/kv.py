"""The store on a key-value bucket of the bus.

Every key has an entry of its own, and so has every element that is pushed and every amount that is added: such a change
is one write, whatever the list has grown to, and the server puts all changes in order. Whoever reads adds them up.
When there are many, a reader sums them up in one entry, which says how far it goes.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence

from nflow.bus.paging import all_records
from nflow.bus.port import Bus, Guard, Record
from nflow.core.dataset import Ref, Tree
from nflow.core.ids import RunId
from nflow.errors import BusError, Conflict, Fenced, StoreTypeError
from nflow.store.fold import Entry, folded, large_in
from nflow.store.port import DATA, Discard, Once, keep
from nflow.store.tree import is_number, is_same, parts_of, reach, shown
from nflow.wire.digest import digest
from nflow.wire.entries import Added, Appended, Change, Gone, Set, canonical, pack_change, unpack_change
from nflow.wire.subjects import Subjects, name_of, part_token
from nflow.wire.values import inline

_log = logging.getLogger(__name__)

#: Where the name of a run stands in subjects of the store.
_RUN = 2

#: So many elements, or amounts, of one key are summed up by whoever reads them.
MANY = 256

#: A summary must fit into a message; what is beyond stays as it was pushed.
SUMMARY_BYTES = 256 * 1024

#: It also names those whose changes count once, up to so many.
MOST_WRITERS = 2000

_EMPTY_LIST: Tree = []
_ZERO: Tree = inline(0)


class KvStore:
    """Data of runs in the bucket `store`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.on_void: Discard = keep
        self._subjects = Subjects(bus.namespace)
        self._summing: dict[str, asyncio.Task[None]] = {}

    async def get(self, run: RunId, key: str, *, section: str = DATA) -> Tree | None:
        """What is at a dotted key; None if nothing is."""
        place = _Place(self._subjects, run, section, key)
        # Those above are read last: a summary of what is below may be made meanwhile, never the other way round.
        below = await self._entries(place)
        above = await self._above(place) if len(place.parts) > 1 else []
        if len(below) > MANY:
            self._sum_up(place, below)
        return reach(folded([*above, *below]), place.parts)

    async def whole(self, run: RunId, *, section: str = DATA) -> dict[str, Tree]:
        """All that a section holds."""
        subject = self._subjects.stored(run, section)
        return folded([_entry(record) async for record in all_records(self._bus, subject)])

    async def set(self, run: RunId, key: str, value: Tree, *, section: str = DATA) -> None:
        """Put `value` at a dotted key."""
        place = _Place(self._subjects, run, section, key)
        while True:
            above, is_clean = await asyncio.gather(self._above(place), self._is_clean(place))
            root = folded(above)
            place.refuse_below_value(root)
            own = _own(above, place)
            seq = await self._write(place, Set(value=value), expect=own.seq if own else 0)
            if seq is not None:
                await (self._discard_of([own] if own else []) if is_clean else self._clear(place, seq, own))
                return

    async def delete(self, run: RunId, key: str, *, section: str = DATA) -> bool:
        """Remove what is at a dotted key; whether there was anything."""
        place = _Place(self._subjects, run, section, key)
        while True:
            below = await self._entries(place)
            above = await self._above(place)
            if reach(folded([*above, *below]), place.parts) is None:
                return False
            own = _own(above, place)
            seq = await self._write(place, Gone(), expect=own.seq if own else 0)
            if seq is not None:
                await self._clear(place, seq, own)
                return True

    async def extend(
        self, run: RunId, key: str, values: Sequence[Tree], *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Append to the list at a dotted key."""
        place = _Place(self._subjects, run, section, key)
        if await self._is_new(place, once, _EMPTY_LIST, lambda tree: isinstance(tree, list), "no list"):
            await self._add(place, Appended(values=list(values), once=_whose(once)), once)

    async def increment(
        self, run: RunId, key: str, by: float, *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Add to the number at a dotted key."""
        place = _Place(self._subjects, run, section, key)
        if await self._is_new(place, once, _ZERO, is_number, "no number"):
            await self._add(place, Added(by=by, once=_whose(once)), once)

    async def compare_and_set(
        self, run: RunId, key: str, expected: Tree | None, value: Tree, *, section: str = DATA
    ) -> bool:
        """Put `value` at a dotted key if `expected` is there; whether it was."""
        place = _Place(self._subjects, run, section, key)
        first = _Place(self._subjects, run, section, place.parts[0])
        while True:
            entries = await self._entries(first)
            root = folded(entries)
            if not is_same(reach(root, place.parts), expected):
                return False
            place.refuse_below_value(root)
            last = max((entry.seq for entry in entries), default=0)
            try:
                seq = await self._bus.append(place.value, place.packed(Set(value=value)), guard=Guard(first.all, last))
            except (Conflict, Fenced):
                continue
            await self._clear(place, seq, _own(entries, place))
            return True

    async def seed(self, run: RunId, values: Mapping[str, Ref]) -> None:
        """Set the parameters of a run, each under its name."""
        for name, value in values.items():
            await self.set(run, name, value)

    async def runs(self) -> frozenset[RunId]:
        """See the port."""
        heads = await self._bus.heads(self._subjects.kv_under("store"), _RUN + 1)
        names = (name_of(head.split(".")[_RUN]) for head in heads)
        return frozenset(RunId(name) for name in names if name is not None)

    async def drop(self, run: RunId) -> None:
        """Forget all data of a run."""
        await self._bus.purge(self._subjects.stored(run))

    # --- reading ---

    async def _entries(self, place: "_Place") -> list[Entry]:
        """All changes of this key and below it."""
        return [_entry(record) async for record in all_records(self._bus, place.all)]

    async def _above(self, place: "_Place") -> list[Entry]:
        """What this key and each one above it were set to."""
        return [_entry(record) for record in await self._bus.last_of_each(place.values)]

    async def _is_clean(self, place: "_Place") -> bool:
        """Whether nothing was pushed to this key, or set below it."""
        page = await self._bus.read(place.all, limit=2)
        return all(record.subject == place.value for record in page.records)

    async def _is_new(
        self, place: "_Place", once: Once | None, empty: Tree, is_right: Callable[[Tree], bool], wrong: str
    ) -> bool:
        """Whether a change is still to be made; the key then holds something of the right kind, if only `empty`."""
        while True:
            above = await self._above(place)
            root = folded(above)
            place.refuse_below_value(root)
            there, own = reach(root, place.parts), _own(above, place)
            if there is None:  # unless parts of it were set by themselves
                there = reach(folded([*above, *await self._entries(place)]), place.parts)
            if there is not None:
                if not is_right(there):
                    raise StoreTypeError(f"The key {shown(place.key)} of the store holds {wrong}. Choose another key.")
                return once is None or own is None or _counted(own, once.writer) < once.number
            await self._write(place, Set(value=empty), expect=own.seq if own else 0)

    # --- writing ---

    async def _write(self, place: "_Place", change: Change, expect: int) -> int | None:
        """Write to the key itself; its sequence, None if somebody else was first."""
        try:
            return await self._bus.append(place.value, place.packed(change), expect=expect)
        except Conflict:
            return None

    async def _add(self, place: "_Place", change: Change, once: Once | None) -> None:
        if once is None:
            await self._bus.append(place.element(secrets.token_hex(8)), place.packed(change))
            return
        name = digest(f"{once.writer}/{once.number}".encode("utf-8", "surrogatepass"))
        try:
            await self._bus.append(place.element(name), place.packed(change), expect=0)
        except Conflict:
            return  # an earlier attempt has done it

    async def _clear(self, place: "_Place", seq: int, own: Entry | None) -> None:
        """Remove what a change of the key itself has made void: all that is older, and the large values in it."""
        void = [entry for entry in await self._entries(place) if entry.seq < seq]
        await self._bus.purge(place.all, through=seq - 1)
        await self._discard_of(void if own is None else [*void, own])

    async def _discard_of(self, void: Iterable[Entry]) -> None:
        refs = {ref.where: ref for entry in void for ref in large_in(entry.change)}
        if refs:
            await self.on_void(refs.values())

    def _sum_up(self, place: "_Place", entries: list[Entry]) -> None:
        """Begin to sum up what was pushed or added to this key, unless that is being done."""
        own = _own(entries, place)
        if own is not None and place.value not in self._summing:
            work = asyncio.ensure_future(self._summed_up(place, own, [each for each in entries if each is not own]))
            self._summing[place.value] = work
            work.add_done_callback(lambda _: self._summing.pop(place.value, None))

    async def _summed_up(self, place: "_Place", own: Entry, entries: list[Entry]) -> None:
        try:
            summary = _summary(place, own, entries)
            # The key must be as it was read: a value that was set meanwhile is not to be overwritten with an older one.
            if summary is not None and await self._write(place, summary, expect=own.seq) is not None:
                assert summary.through is not None
                await self._bus.purge(place.element("*"), through=summary.through)
        except BusError as error:
            _log.warning("the entries of %s could not be summed up: %s", shown(place.key), error)


class _Place:
    """A key of a section of a run, and where its entries are."""

    def __init__(self, subjects: Subjects, run: RunId, section: str, key: str) -> None:
        self.key = key
        self.parts = parts_of(key)
        self.value = subjects.value(run, section, self.parts)
        self.all = subjects.stored(run, section, self.parts)
        self._subjects = subjects
        self._run = run
        self._section = section

    @property
    def values(self) -> list[str]:
        """Where the value of this key is, and those of the keys above it."""
        paths = [self.parts[:end] for end in range(1, len(self.parts) + 1)]
        return [self._subjects.value(self._run, self._section, path) for path in paths]

    def element(self, name: str) -> str:
        """Where one change of this key is that is not a new value."""
        return self._subjects.elements(self._run, self._section, self.parts, name)

    def packed(self, change: Change) -> bytes:
        """A change of this key; with its path where a subject cannot tell it."""
        is_told = all(name_of(part_token(part)) == part for part in self.parts)
        return pack_change(change, None if is_told else self.parts)

    def refuse_below_value(self, root: dict[str, Tree]) -> None:
        """Raise StoreTypeError where a key above this one holds a value, which has no parts."""
        for end in range(1, len(self.parts)):
            if not isinstance(reach(root, self.parts[:end]), dict | None):
                above = ".".join(self.parts[:end])
                raise StoreTypeError(
                    f"The key {shown(self.key)} cannot be set: {shown(above)} holds a value, which has no parts. "
                    "Choose another key, or delete that one first."
                )


def _entry(record: Record) -> Entry:
    change, path = unpack_change(record.payload)
    return Entry(path=tuple(path or _path_of(record.subject)), change=change, seq=record.seq)


def _path_of(subject: str) -> list[str]:
    """The parts of the key: behind the bucket, the run and the section, before what is the store's own."""
    tokens = subject.split(".")[4:]
    return [name_of(token) or token for token in tokens[: tokens.index("_e") if "_e" in tokens else -1]]


def _own(entries: Iterable[Entry], place: _Place) -> Entry | None:
    """What the key itself was set to, of these."""
    path = tuple(place.parts)
    return next((each for each in entries if each.path == path and isinstance(each.change, Set | Gone)), None)


def _whose(once: Once | None) -> tuple[str, int] | None:
    return None if once is None else (once.writer, once.number)


def _counted(own: Entry, writer: str) -> int:
    """The last change of a writer that is summed up in the value of a key."""
    return own.change.once.get(writer, 0) if isinstance(own.change, Set) else 0


def _summary(place: _Place, own: Entry, entries: list[Entry]) -> Set | None:
    """The value of a key with as many of its later changes as fit; None if it has none, or parts of its own."""
    path = tuple(place.parts)
    later = [entry for entry in entries if entry.path == path and entry.at > own.at]
    if not isinstance(own.change, Set) or not later or any(entry.path != path for entry in entries):
        return None
    room = SUMMARY_BYTES - len(canonical(own.change.value))
    taken: list[Entry] = []
    once = dict(own.change.once)
    for entry in sorted(later, key=lambda entry: entry.seq):
        assert isinstance(entry.change, Appended | Added)
        room -= len(pack_change(entry.change))
        if room < 0 or len(once) > MOST_WRITERS:
            break
        taken.append(entry)
        if entry.change.once is not None:
            writer, number = entry.change.once
            once[writer] = max(number, once.get(writer, 0))
    if not taken:
        return None
    value = reach(folded([own, *taken]), place.parts)
    assert value is not None
    return Set(value=value, through=taken[-1].seq, once=once)
