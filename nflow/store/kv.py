"""The store on a key-value bucket of the bus: one entry for the first part of each key, replaced by compare-and-set.

Two tasks that write under one first part take turns: whoever comes second reads again and tries again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from weakref import WeakValueDictionary

from nflow.bus.paging import all_records
from nflow.bus.port import Bus
from nflow.core.dataset import Ref, Tree
from nflow.core.ids import RunId
from nflow.errors import Conflict
from nflow.store.port import DATA
from nflow.store.tree import extend, parts_of, put, reach
from nflow.wire.subjects import Subjects, name_of
from nflow.wire.tree import pack_tree, unpack_tree

BUCKET = "store"


class KvStore:
    """Data of runs in the bucket `store`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._subjects = Subjects(bus.namespace)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, run: RunId, key: str, *, section: str = DATA) -> Tree | None:
        """What is at a dotted key; None if nothing is."""
        first, *rest = parts_of(key)
        record = await self._bus.last(self._subject(run, section, first))
        return None if record is None else reach(unpack_tree(record.payload), rest)

    async def whole(self, run: RunId, *, section: str = DATA) -> dict[str, Tree]:
        """All that a section holds."""
        tree: dict[str, Tree] = {}
        async for record in all_records(self._bus, self._subjects.kv_under(BUCKET, run, section)):
            token = record.subject.rpartition(".")[2]
            tree[name_of(token) or token] = unpack_tree(record.payload)
        return tree

    async def set(self, run: RunId, key: str, value: Tree, *, section: str = DATA) -> None:
        """Put `value` at a dotted key."""
        first, *rest = parts_of(key)
        await self._change(self._subject(run, section, first), lambda tree: put(tree, rest, value))

    async def extend(self, run: RunId, key: str, values: Sequence[Tree], *, section: str = DATA) -> None:
        """Append to the list at a dotted key."""
        first, *rest = parts_of(key)
        await self._change(self._subject(run, section, first), lambda tree: extend(tree, rest, values))

    async def seed(self, run: RunId, values: Mapping[str, Ref]) -> None:
        """Set the parameters of a run, each under its name."""
        for name, value in values.items():
            await self.set(run, name, value)

    async def drop(self, run: RunId) -> None:
        """Forget all data of a run."""
        await self._bus.purge(self._subjects.kv_under(BUCKET, run))

    async def _change(self, subject: str, change: Callable[[Tree | None], Tree]) -> None:
        """Read, change, write; again if another wrote in between. Tasks of one worker queue up instead of colliding."""
        async with self._turns.setdefault(subject, asyncio.Lock()):
            while True:
                record = await self._bus.last(subject)
                old = None if record is None else unpack_tree(record.payload)
                try:
                    await self._bus.append(subject, pack_tree(change(old)), expect=record.seq if record else 0)
                except Conflict:
                    continue
                return

    def _subject(self, run: RunId, section: str, first: str) -> str:
        return self._subjects.kv(BUCKET, run, section, first)
