"""From the tail of a log into documents by key, and what many small ones add up to.

Several processes may be at it at once: they write the same changes under the same numbers, and one of them shortens the
tail. What one that died has left is a copy of what is elsewhere.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from itertools import groupby
from typing import Any

import bson
from bson import ObjectId, Regex
from pymongo import DeleteMany
from pymongo.asynchronous.collection import AsyncCollection

from nflow.core.dataset import Ref
from nflow.core.ids import RunId
from nflow.errors import NflowError
from nflow.store.fold import folded
from nflow.store.mongo.connection import Connection
from nflow.store.mongo.documents import Document, document_of, entry_of
from nflow.store.mongo.place import Place, Sight
from nflow.store.mongo.standing import counted, standing
from nflow.store.tree import is_number, reach
from nflow.wire.entries import Gone, Set

_log = logging.getLogger(__name__)

#: A tail of so many changes or bytes is moved, all but its newer half, which is what writers compare theirs with.
LONG, LONG_BYTES = 128, 128 * 1024

#: From so many small documents of one key on they become one, or the sum of what is in them.
MANY = 6
LARGE, LARGE_BYTES = 1000, 256 * 1024

#: A sum names those whose changes count once, up to so many.
MOST_WRITERS = 2000


class Mover:
    """Keeps the tail of one log short."""

    def __init__(
        self, connection: Connection, log: str, run: RunId, look: Callable[[Place], Awaitable[Sight]], *, kept: int
    ) -> None:
        self._connection = connection
        self._heads: AsyncCollection[Document] = connection.heads
        self._parts: AsyncCollection[Document] = connection.parts
        self._id = log
        self._run = run
        self._look = look
        self._kept = kept
        self._work: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Move in the background, unless that is being done."""
        if self._work is None or self._work.done():
            # Its time is its own, not what the call that began it has left.
            self._work = asyncio.create_task(self._in_background(), context=Context())

    async def end(self) -> None:
        """Return when nothing is done in the background."""
        if self._work is not None:
            await asyncio.wait([self._work])

    async def move(self) -> None:
        """Move all but the newest changes out of the tail."""
        head = await self._heads.find_one({"_id": self._id})
        if head is None or not (count := _older(head["entries"], self._kept)):
            return
        numbered = enumerate(head["entries"][:count], start=head["base"] + 1)
        moved = [{"seq": seq, **change} for seq, change in numbered]
        documents = self._documents(head["life"], moved)
        await self._parts.insert_many(documents, ordered=False)
        if not await self._shorten(head, moved):
            await self._parts.delete_many({"_id": {"$in": [document["_id"] for document in documents]}})
            return
        await self._remove_replaced(head["life"], documents)
        for at in {document["at"] for document in documents if not document["is_set"]}:
            await self._gather(head["life"], at)

    async def _in_background(self) -> None:
        try:
            await self._connection.run(self.move)
        except NflowError as error:
            _log.warning("the log %s of the store could not be shortened: %s", self._id, error)

    def _documents(self, life: ObjectId, moved: Sequence[Document]) -> list[Document]:
        """Those of them that count, by key; new values, by which all readers go, apart from what is added to them."""
        counting = {entry.seq for entry in standing(entry_of(change, change["seq"]) for change in moved)}
        chosen = [change for change in moved if change["seq"] in counting]
        chosen.sort(key=lambda change: (change["at"], _is_set(change), change["seq"]))
        return [
            self._document(life, at, list(changes), is_set=is_set)
            for (at, is_set), changes in groupby(chosen, key=lambda change: (change["at"], _is_set(change)))
        ]

    def _document(self, life: ObjectId, at: str, changes: list[Document], *, is_set: bool) -> Document:
        return {
            "_id": ObjectId(),
            "log": life,
            "run": self._run,
            "at": at,
            "is_set": is_set,
            "last": changes[-1]["seq"],
            "changes": changes,
        }

    async def _shorten(self, head: Document, moved: Sequence[Document]) -> bool:
        """Let go of what has been moved; whether nobody else has done so."""
        done = await self._heads.update_one(
            {"_id": self._id, "life": head["life"], "base": head["base"]},
            {
                "$pull": {"entries": {"id": {"$in": [change["id"] for change in moved]}}},
                "$set": {"base": moved[-1]["seq"]},
                "$inc": {"size": -sum(map(_size, head["entries"][: len(moved)]))},
            },
        )
        return done.modified_count == 1

    async def _remove_replaced(self, life: ObjectId, documents: Sequence[Document]) -> None:
        """Remove what is older than the new values."""
        removals = []
        for document in documents:
            if document["is_set"]:
                below = Regex(f"^{re.escape(document['at'])}")
                removals.append(DeleteMany({"log": life, "at": below, "last": {"$lt": document["last"]}}))
        if removals:
            await self._parts.bulk_write(removals, ordered=False)

    async def _gather(self, life: ObjectId, at: str) -> None:
        """Make one document of many small ones of a key, or the number that they add up to."""
        wanted = {"log": life, "at": at, "is_set": False, f"changes.{LARGE - 1}": {"$exists": False}}
        if await self._parts.count_documents(wanted, limit=MANY) < MANY:
            return
        small = await self._parts.find(wanted).sort("last", 1).to_list()
        small = [part for part in small if _size(part) < LARGE_BYTES]
        if not small:
            return
        first = small[0]["changes"][0]
        if first["is"] == "append" or not await self._sum_up(life, entry_of(first, 0).path, at):
            await self._merge(life, at, small)

    async def _sum_up(self, life: ObjectId, path: tuple[str, ...], at: str) -> bool:
        """Put a number in the place of all that has been added to it; whether it is one."""
        head = await self._heads.find_one({"_id": self._id, "life": life}, {"base": 1})
        sight = await self._look(Place(path))
        entries = [entry for entry in standing(sight.entries) if head is not None and entry.seq <= head["base"]]
        value, whose = reach(folded(entries), path), counted([entry for entry in entries if entry.path == path])
        added = [entry for entry in entries if entry.path == path and not isinstance(entry.change, Set | Gone)]
        if not is_number(value) or not added or len(whose) > MOST_WRITERS:
            return False
        assert isinstance(value, Ref)
        last = added[-1].seq
        change = document_of(Set(value=value, through=last, once=whose), path)
        await self._parts.insert_one(self._document(life, at, [{"seq": last, "id": ObjectId(), **change}], is_set=True))
        # There before they go. Sums that others have made of the same stay: each of them would remove the other's.
        await self._parts.delete_many({"log": life, "at": at, "is_set": False, "last": {"$lte": last}})
        await self._parts.delete_many({"log": life, "at": at, "is_set": True, "last": {"$lt": last}})
        return True

    async def _merge(self, life: ObjectId, at: str, small: list[Document]) -> None:
        for group in _groups(small):
            changes = {change["seq"]: change for part in group for change in part["changes"]}
            merged = self._document(life, at, [changes[seq] for seq in sorted(changes)], is_set=False)
            await self._parts.insert_one(merged)
            await self._parts.delete_many({"_id": {"$in": [part["_id"] for part in group]}})


def _older(entries: Sequence[Document], kept: int) -> int:
    """How many of them to move, so that the newest stay."""
    count, room = max(0, len(entries) - kept), LONG_BYTES // 2
    for at in range(len(entries) - 1, count - 1, -1):
        room -= _size(entries[at])
        if room < 0:
            return at + 1
    return count


def _groups(parts: Sequence[Document]) -> list[list[Document]]:
    """Neighbours that are small enough together; one alone is left as it is."""
    groups: list[list[Document]] = [[]]
    count = size = 0
    for part in parts:
        count, size = count + len(part["changes"]), size + _size(part)
        if groups[-1] and (count > LARGE or size > LARGE_BYTES):
            groups.append([])
            count, size = len(part["changes"]), _size(part)
        groups[-1].append(part)
    return [group for group in groups if len(group) > 1]


def _is_set(change: Document) -> bool:
    return change["is"] in {"set", "gone"}


def _size(document: Document | Any) -> int:
    return len(bson.encode(document))
