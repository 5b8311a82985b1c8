"""The port of the store: a tree of references for each run, in sections.

A leaf is a `Ref`, an encoded value; inner nodes are dicts and lists, so that a dotted key reaches into them. The store
never decodes a value: encoding is the business of the slot that has it in its hands.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from nflow.core.dataset import Ref, Tree
from nflow.core.ids import RunId

DATA = "data"
META = "meta"


class Store(Protocol):
    """Data of runs. Every call is atomic by itself; several tasks may write to one key at once."""

    async def get(self, run: RunId, key: str, *, section: str = DATA) -> Tree | None:
        """What is at a dotted key; None if nothing is."""

    async def whole(self, run: RunId, *, section: str = DATA) -> dict[str, Tree]:
        """All that a section holds."""

    async def set(self, run: RunId, key: str, value: Tree, *, section: str = DATA) -> None:
        """Put `value` at a dotted key; parents are made, what was there before goes."""

    async def extend(self, run: RunId, key: str, values: Sequence[Tree], *, section: str = DATA) -> None:
        """Append to the list at a dotted key, which is made if there is none.

        Raises:
            StoreTypeError: what is at the key is no list.
        """

    async def seed(self, run: RunId, values: Mapping[str, Ref]) -> None:
        """Set the parameters of a run, each under its name."""

    async def drop(self, run: RunId) -> None:
        """Forget all data of a run."""
