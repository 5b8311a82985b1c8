"""One change on its way into the head of its log, however often that must be tried."""

from typing import Any, Literal

from bson import ObjectId
from pymongo import ReturnDocument

from nflow.errors import StoreUnavailable
from nflow.store.mongo.connection import Connection
from nflow.store.mongo.documents import Document
from nflow.store.mongo.place import Place, Sight

Scope = Literal["above", "own", "around"]
"""Which changes of others disturb a write: new values above its key, or also at it, or all at, above and below it."""

#: No more changes are taken until the mover was here. MongoDB's own limit for a document is 16 MiB.
FULL_BYTES = 4 * 1024 * 1024

_ALL = 1_000_000
_SEEN_OF_HEAD = {"n": 1, "base": 1, "size": 1}


class Writing:
    """A change that relies on what was seen of its log: it is made at once, or not at all."""

    def __init__(
        self,
        connection: Connection,
        log: str,
        place: Place,
        sight: Sight,
        document: Document,
        *,
        size_bytes: int,
        scope: Scope,
    ) -> None:
        self._heads, self._parts = connection.heads, connection.parts
        self._place = place
        self._sight = sight
        self._document = document
        self._size = size_bytes
        self._head = {"_id": log, "life": sight.life}
        self._undisturbed = _none_since(sight.seen, place, scope)
        self._was_tried = False

    async def attempt(self) -> Document | None:
        """Make the change; the counts of the head then, None if what was seen holds no longer.

        It may be called again after any error.
        """
        if self._was_tried and (head := await self._made_before()) is not None:
            return head
        self._was_tried = True
        return await self._heads.find_one_and_update(
            {
                **self._head,
                # The changes since then are all in the tail still: that they disturb nothing can be checked, and so can
                # that this one, which may be under way from an earlier attempt, is none of them.
                "base": {"$lte": self._sight.seen},
                "size": {"$lt": FULL_BYTES},
                "entries.id": {"$ne": self._document["id"]},
                "$or": [{"n": self._sight.seen}, {"$expr": self._undisturbed}],
            },
            {"$push": {"entries": self._document}, "$inc": {"n": 1, "size": self._size}},
            projection=_SEEN_OF_HEAD,
            return_document=ReturnDocument.AFTER,
        )

    async def _made_before(self) -> Document | None:
        """The counts of the head if an attempt whose answer was lost has made the change.

        Raises:
            StoreUnavailable: that cannot be told any more.
        """
        head = await self._heads.find_one(self._head, {**_SEEN_OF_HEAD, "entries.id": 1})
        if head is None:
            return None
        if any(entry["id"] == self._document["id"] for entry in head["entries"]):
            return head
        if head["base"] <= self._sight.seen:
            return None
        if await self._is_moved(self._sight.life, self._document["id"]):
            return head
        if await self._is_replaced(self._sight.life):
            raise StoreUnavailable(
                "The store lost its connection in the middle of a change, and it cannot be told any more whether the "
                "change was made. Run the task again; once=True makes that safe."
            )
        return None

    async def _is_moved(self, life: ObjectId | None, change: ObjectId) -> bool:
        return await self._parts.find_one({"log": life, "at": self._place.own, "changes.id": change}) is not None

    async def _is_replaced(self, life: ObjectId | None) -> bool:
        """Whether there is a newer value, or a sum, in whose place it could have been."""
        newer = {"log": life, "is_set": True, "last": {"$gt": self._sight.seen}, "at": {"$in": self._place.path}}
        return await self._parts.find_one(newer) is not None


def _none_since(seen: int, place: Place, scope: Scope) -> dict[str, Any]:
    """An expression: no change that came after the first `seen` ones disturbs."""
    at, own = "$$change.at", place.own
    is_value = {"$in": ["$$change.is", ["set", "gone"]]}
    match scope:
        case "around":
            disturbs = {"$or": [{"$in": [at, place.path]}, {"$eq": [{"$indexOfBytes": [at, own]}, 0]}]}
        case "own":
            disturbs = {"$and": [is_value, {"$in": [at, place.path]}]}
        case "above":
            disturbs = {"$and": [is_value, {"$in": [at, place.path[:-1]]}]}
    later = {"$slice": ["$entries", {"$subtract": [seen, "$base"]}, _ALL]}
    return {"$eq": [[], {"$filter": {"input": later, "as": "change", "cond": disturbs}}]}
