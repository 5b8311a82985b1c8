"""The log of one top-level key: all changes of it and below it, in the order in which MongoDB took them.

Its tail is an array in one document, the head. So a change is one write, and its place in the order is given by the
same write that makes it seen: no reader ever finds a change and later one before it. The head counts its changes (`n`);
those up to `base` have been moved into documents by key, by whoever found the tail long. A change never changes its
number, and what is moved is there before the head lets go of it, so a change may be in two places for a while, never in
none. This needs neither transactions nor a replica set.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeVar

import bson
from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from nflow.core.ids import RunId
from nflow.errors import TooLarge
from nflow.store.fold import Entry
from nflow.store.mongo.connection import ORDER, Connection
from nflow.store.mongo.documents import Document, document_of, entry_of, stored_name
from nflow.store.mongo.moving import LONG, LONG_BYTES, Mover
from nflow.store.mongo.place import Place, Sight
from nflow.store.mongo.writing import FULL_BYTES, Scope, Writing
from nflow.wire.entries import Change
from nflow.wire.subjects import part_token

_T = TypeVar("_T")

#: What one change may weigh.
LARGEST_BYTES = 4 * 1024 * 1024


class Log:
    """The log of one top-level key of a section of a run."""

    def __init__(self, connection: Connection, run: RunId, section: str, top: str, *, tail: int = LONG) -> None:
        self.id = f"{part_token(run)}/{part_token(section)}/{part_token(top)}"
        self._connection = connection
        self._tail = tail
        self._first: Document = {
            "run": run,
            "section": section,
            "top": stored_name(top),
            "n": 0,
            "base": 0,
            "size": 0,
            "entries": [],
        }
        self._writing = asyncio.Lock()
        self._heads = connection.heads
        self._parts = connection.parts
        self._mover = Mover(connection, self.id, run, self.look, kept=tail // 2)

    # --- reading ---

    async def look(self, place: Place, *, values_only: bool = False) -> Sight:
        """What makes up the value at a key; with `values_only`, only what it and those above it were set to."""
        return await self._run(lambda: self._look(place, values_only=values_only))

    async def _look(self, place: Place, *, values_only: bool) -> Sight:
        while True:
            head = await self._heads.find_one({"_id": self.id})
            if head is None:
                return Sight(life=None, seen=0, entries=[])
            found: dict[int, Entry] = {}
            if head["base"]:
                for part in await self._older(head, place, values_only=values_only):
                    found |= {change["seq"]: entry_of(change, change["seq"]) for change in part["changes"]}
                found = {seq: entry for seq, entry in found.items() if seq <= head["base"]}
                if not await self._still_holds(head, place):
                    continue
            for seq, change in enumerate(head["entries"], start=head["base"] + 1):
                if place.concerns(change["at"]):
                    found[seq] = entry_of(change, seq)
            return Sight(life=head["life"], seen=head["n"], entries=list(found.values()))

    async def _older(self, head: Document, place: Place, *, values_only: bool) -> list[Document]:
        log = {"log": head["life"]}
        wanted = {"is_set": True, "at": {"$in": place.path}} if values_only else {"at": place.around}
        # In the order of the index: elements first, the older ones first. What sums them up or merges them is there
        # before they go, and comes after them.
        return await self._parts.find(log | wanted).hint(ORDER).to_list()

    async def _still_holds(self, head: Document, place: Place) -> bool:
        """Whether nothing of what was to be read can have been removed meanwhile, since a later value replaces it."""
        now = await self._heads.find_one({"_id": self.id}, {"life": 1, "base": 1})
        if now is None or now["life"] != head["life"]:
            return False
        # What replaces it is moved before it is removed, so it is there to be found.
        return bool(now["base"] == head["base"]) or not await self._is_replaced(head["life"], place, head["base"])

    async def _is_replaced(self, life: ObjectId, place: Place, since: int) -> bool:
        newer = {"log": life, "is_set": True, "at": place.around, "last": {"$gt": since}}
        return await self._parts.find_one(newer, {"_id": 1}) is not None

    # --- writing ---

    async def append(self, change: Change, place: Place, sight: Sight, scope: Scope) -> int | None:
        """Add a change that relies on what was seen; how many there are then, None if it holds no longer.

        Raises:
            TooLarge: the change does not fit.
            StoreUnavailable: MongoDB is away for too long, or it cannot be told whether it took the change.
        """
        # An id of its own: after a loss it is not known whether the change was made, and it is tried again.
        document = {"id": ObjectId(), **document_of(change, place.parts)}
        size = len(bson.encode(document))
        if size > LARGEST_BYTES:
            raise TooLarge(
                f"A change of {size} bytes is more than the store takes at once ({LARGEST_BYTES}). Make several of it."
            )
        if sight.life is None:
            sight = await self._run(self._begin)
        writing = Writing(self._connection, self.id, place, sight, document, size_bytes=size, scope=scope)
        head = await self._run(writing.attempt)
        if head is None:
            await self._make_room()
            return None
        if head["size"] >= FULL_BYTES or head["n"] - head["base"] >= 8 * self._tail:
            await self._run(self._mover.move)
        elif head["size"] >= LONG_BYTES or head["n"] - head["base"] >= self._tail:
            self._mover.begin()
        return int(head["n"])

    def turn(self) -> AbstractAsyncContextManager[None]:
        """For one who looks and then appends: here one after the other, for they write to one document."""
        return self._connection.turn(self._writing)

    async def close(self) -> None:
        """Return when nothing is done in the background."""
        await self._mover.end()

    async def _begin(self) -> Sight:
        with suppress(DuplicateKeyError):  # somebody else was first; what it wrote meets the check of `append`
            await self._heads.insert_one({"_id": self.id, "life": ObjectId(), **self._first})
        head = await self._heads.find_one({"_id": self.id}, {"life": 1})
        return Sight(life=head["life"] if head else None, seen=0, entries=[])

    async def _make_room(self) -> None:
        head = await self._run(lambda: self._heads.find_one({"_id": self.id}, {"size": 1}))
        if head is not None and head["size"] >= FULL_BYTES:
            await self._run(self._mover.move)

    async def _run(self, act: Callable[[], Awaitable[_T]]) -> _T:
        return await self._connection.run(act)
