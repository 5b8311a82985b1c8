"""The port of the store: a tree of references for each run, in sections.

A leaf is a `Ref`, an encoded value; inner nodes are dicts and lists, so that a dotted key reaches into them. The store
never opens a value: encoding is the business of the slot that has it in its hands. Numbers alone are added up here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nflow.core.dataset import Ref, Tree
from nflow.core.ids import RunId

DATA = "data"
META = "meta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Who asks for a change that must count once, however often the task that makes it is repeated."""

    writer: str  #: a task of a dag run, or a key of the user's own
    number: int  #: which of its changes this is; a writer makes them in this order, in every attempt


Discard = Callable[[Iterable[Ref]], Awaitable[None]]
"""Removes large values to which no key leads any more."""


async def keep(_: Iterable[Ref]) -> None:
    """Leave large values alone: they go with their run."""


class Store(Protocol):
    """Data of runs. Every call is atomic by itself; several tasks may write to one key at once."""

    on_void: Discard  #: called with the large values of a key that was given another one, or deleted

    async def get(self, run: RunId, key: str, *, section: str = DATA) -> Tree | None:
        """What is at a dotted key; None if nothing is."""

    async def whole(self, run: RunId, *, section: str = DATA) -> dict[str, Tree]:
        """All that a section holds."""

    async def set(self, run: RunId, key: str, value: Tree, *, section: str = DATA) -> None:
        """Put `value` at a dotted key; parents are made, what was there before goes.

        Raises:
            StoreTypeError: a parent holds a value, which has no parts.
        """

    async def delete(self, run: RunId, key: str, *, section: str = DATA) -> bool:
        """Remove what is at a dotted key, with parents that are empty then; whether there was anything."""

    async def extend(
        self, run: RunId, key: str, values: Sequence[Tree], *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Append to the list at a dotted key, which is made if there is none.

        Raises:
            StoreTypeError: what is at the key is no list.
        """

    async def increment(
        self, run: RunId, key: str, by: float, *, section: str = DATA, once: Once | None = None
    ) -> None:
        """Add to the number at a dotted key, which begins with 0.

        Raises:
            StoreTypeError: what is at the key is no number.
        """

    async def compare_and_set(
        self, run: RunId, key: str, expected: Tree | None, value: Tree, *, section: str = DATA
    ) -> bool:
        """Put `value` at a dotted key if `expected` is there, None standing for nothing; whether it was."""

    async def seed(self, run: RunId, values: Mapping[str, Ref]) -> None:
        """Set the parameters of a run, each under its name."""

    async def runs(self) -> frozenset[RunId]:
        """The runs that have data here; where several servers share a database, those of all of them."""

    async def drop(self, run: RunId) -> None:
        """Forget all data of a run."""
