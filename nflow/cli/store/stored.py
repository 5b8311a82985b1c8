"""The data of one run, as a person looks at them: fetched, opened, and told in words of JSON."""

from typing import Any

from nflow.blobs.terms import Terms
from nflow.cli.console.values import Plain, parsed, shown, written
from nflow.client.stored import UNTOLD, Stored
from nflow.core.dataset import Ref, Tree
from nflow.errors import UsageError
from nflow.slot.exchange import Packer, grown
from nflow.store.port import META
from nflow.wire.values import Data, Encoded

#: A value that was typed is stored as it is: no command line holds as much as a message.
_ROOM_BYTES = 512 * 1024

Told = tuple[str, list[str], list[str]]
"""Text, what is to be known of it, and what is missing in it."""


class StoredData(Stored):
    """One section of the store of a run, told and changed."""

    async def shown(self, key: str, *, as_json: bool) -> Told:
        """The value at a key.

        Raises:
            UsageError: there is none.
            MissingModule, BlobLost: it cannot be opened here.
        """
        tree = await self.at(key)
        if tree is None:
            raise self._unknown(key)
        value = await self.opened(tree, f"'{key}'")
        plain = Plain()
        text = written(plain.of(value, key)) if as_json else shown(value, plain, key)
        return text, plain.notes, []

    async def exported(self) -> Told:
        """All values by key. One that cannot be opened here is null, and named among what is missing."""
        tree = await self.whole()
        fetched, plain, missing = await self.fetched(tree), Plain(), list[str]()

        def told(tree: Tree, key: str) -> Any:
            if isinstance(tree, dict):
                return {part: told(below, f"{key}.{part}" if key else part) for part, below in tree.items()}
            try:
                return plain.of(grown(tree, fetched), key)
            except UNTOLD as error:
                missing.append(f"'{key}' is left out. {error}")
                return None

        return written(told(tree, "")), plain.notes, missing

    async def set(self, key: str, text: str) -> None:
        """Put what was typed at a key."""
        self.require_data()
        tree = Packer(_Typed()).tree(parsed(text), f"The value for '{key}'")
        await self.engine.store.set(self.entry.run, key, tree, section=self.section)

    async def remove(self, key: str) -> None:
        """Remove what is at a key."""
        self.require_data()
        if not await self.engine.store.delete(self.entry.run, key, section=self.section):
            raise self._unknown(key)

    async def drop(self) -> None:
        """Remove all data; what tasks hand on only where there are no tasks any more that need it."""
        await self.engine.store.drop(self.entry.run)
        if not self.entry.is_active:
            await self.engine.blobs.drop(self.entry.run)
            await self.engine.index.note_dropped(self.entry.run, "by hand (nflow store rm)")

    def refuse_while_going_on(self, *, force: bool) -> None:
        """Raise UsageError where tasks may still need their data."""
        self.require_data()
        if self.entry.is_active and not force:
            raise UsageError(
                f"Run {self.entry.run} ({self.entry.workflow}) is still going on, and its tasks may need their data. "
                "Stop it first, or add --force."
            )

    # --- inside ---

    def _unknown(self, key: str) -> UsageError:
        listing = f"nflow store keys {self.entry.run}" + (f" --section {META}" if self.section == META else "")
        return UsageError(f"No key '{key}' in the store of run {self.entry.run}. The keys that there are: {listing}")


class _Typed:
    """For values that were typed: none of them is large."""

    terms = Terms(inline_size=_ROOM_BYTES)

    def get_blob(self, ref: Ref, what: str = "A value") -> Data:
        """There are none."""
        raise NotImplementedError(f"{what}: {ref}")

    def put_blob(self, value: Encoded, digest: str | None = None) -> Ref:  # noqa: ARG002 - part of the protocol
        """Refuse it."""
        raise UsageError(f"A value of {value.size_bytes} bytes is too large to be typed. Set it in a task.")
