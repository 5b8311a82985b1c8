"""A key in its log, and what was seen of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bson import ObjectId, Regex

from nflow.store.fold import Entry
from nflow.store.mongo.documents import Document, address


@dataclass(frozen=True, slots=True)
class Place:
    """A key in its log, and what is related to it."""

    parts: Sequence[str]

    @property
    def own(self) -> str:
        """Its own address."""
        return address(self.parts)

    @property
    def path(self) -> list[str]:
        """The addresses of the keys above it, and its own."""
        return [address(self.parts[:end]) for end in range(1, len(self.parts) + 1)]

    @property
    def around(self) -> Document:
        """What selects the addresses of the keys above it, its own, and all below it."""
        return {"$in": [*self.path[:-1], Regex(f"^{re.escape(self.own)}")]}

    def concerns(self, at: str) -> bool:
        """Whether a change there shows here."""
        return at.startswith(self.own) or self.own.startswith(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a log held at one moment."""

    life: ObjectId | None  #: of the log: a run that was forgotten and begins anew has another
    seen: int  #: how many changes there had been
    entries: list[Entry]
