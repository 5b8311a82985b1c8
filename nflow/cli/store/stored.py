"""The data of one run, as a person looks at them: fetched, opened, and told in words of JSON."""

from typing import Any

from nflow.blobs.terms import Terms
from nflow.cli.console.values import Plain, parsed, shown, written
from nflow.core.dataset import INLINE, Ref, Tree
from nflow.engine.engine import Engine
from nflow.engine.provenance import all_provenance_of, provenance_of
from nflow.engine.runs import AT_THE_END, RunEntry
from nflow.errors import BlobFolderUnusable, BlobLost, BrokenMessage, MissingModule, NflowError, UsageError
from nflow.slot.exchange import Packer, grown
from nflow.store.port import META
from nflow.store.tree import leaves, parts_of, refs_in
from nflow.wire.values import Data, Encoded

#: A value that was typed is stored as it is: no command line holds as much as a message.
_ROOM_BYTES = 512 * 1024

#: Why a value that is there may not be told here.
_UNTOLD = (BlobLost, BlobFolderUnusable, MissingModule, BrokenMessage)

Told = tuple[str, list[str], list[str]]
"""Text, what is to be known of it, and what is missing in it."""


class StoredData:
    """One section of the store of a run."""

    def __init__(self, engine: Engine, entry: RunEntry, section: str) -> None:
        self.entry = entry
        self._engine = engine
        self._section = section

    async def shown(self, key: str, *, as_json: bool) -> Told:
        """The value at a key.

        Raises:
            UsageError: there is none.
            MissingModule, BlobLost: it cannot be opened here.
        """
        tree = await self._at(key)
        if tree is None:
            raise self._unknown(key)
        try:
            value = grown(tree, await self._fetched(tree))
        except _UNTOLD as error:
            raise type(error)(f"'{key}' of {self.entry.run} cannot be shown here. {error}") from error
        plain = Plain()
        text = written(plain.of(value, key)) if as_json else shown(value, plain, key)
        return text, plain.notes, []

    async def exported(self) -> Told:
        """All values by key. One that cannot be opened here is null, and named among what is missing."""
        tree = await self._whole()
        fetched, plain, missing = await self._fetched(tree), Plain(), list[str]()

        def told(tree: Tree, key: str) -> Any:
            if isinstance(tree, dict):
                return {part: told(below, f"{key}.{part}" if key else part) for part, below in tree.items()}
            try:
                return plain.of(grown(tree, fetched), key)
            except _UNTOLD as error:
                missing.append(f"'{key}' is left out. {error}")
                return None

        return written(told(tree, "")), plain.notes, missing

    async def keys(self, prefix: str) -> list[str]:
        """The dotted keys of all values, or of those below `prefix`."""
        if not prefix:
            return sorted(leaves(await self._whole()))
        tree = await self._at(prefix)
        return [] if tree is None else sorted(leaves(tree, tuple(parts_of(prefix))))

    async def set(self, key: str, text: str) -> None:
        """Put what was typed at a key."""
        self._require_data()
        tree = Packer(_Typed()).tree(parsed(text), f"The value for '{key}'")
        await self._engine.store.set(self.entry.run, key, tree, section=self._section)

    async def remove(self, key: str) -> None:
        """Remove what is at a key."""
        self._require_data()
        if not await self._engine.store.delete(self.entry.run, key, section=self._section):
            raise self._unknown(key)

    async def drop(self) -> None:
        """Remove all data; what tasks hand on only where there are no tasks any more that need it."""
        await self._engine.store.drop(self.entry.run)
        if not self.entry.is_active:
            await self._engine.blobs.drop(self.entry.run)
            await self._engine.index.note_dropped(self.entry.run, "by hand (nflow store rm)")

    def refuse_while_going_on(self, *, force: bool) -> None:
        """Raise UsageError where tasks may still need their data."""
        self._require_data()
        if self.entry.is_active and not force:
            raise UsageError(
                f"Run {self.entry.run} ({self.entry.workflow}) is still going on, and its tasks may need their data. "
                "Stop it first, or add --force."
            )

    # --- inside ---

    async def _at(self, key: str) -> Tree | None:
        """What is at a key; in the section `meta`, what is known of the run too, which outlives its data."""
        parts_of(key)
        if self._section != META:
            self._require_data()
        tree = await self._engine.store.get(self.entry.run, key, section=self._section)
        if tree is None and self._section == META:
            tree = await provenance_of(self._engine, self.entry, key)
        return tree

    async def _whole(self) -> dict[str, Tree]:
        if self._section != META:
            self._require_data()
            return await self._engine.store.whole(self.entry.run, section=self._section)
        noted = await all_provenance_of(self._engine, self.entry)
        return noted | await self._engine.store.whole(self.entry.run, section=self._section)

    async def _fetched(self, tree: Tree) -> "_Fetched":
        """All large values of a tree, or why they cannot be had."""
        found: dict[bytes | str, bytes | NflowError] = {}
        for ref in refs_in(tree):
            if ref.scheme != INLINE and ref.where not in found:
                try:
                    found[ref.where] = await self._engine.blobs.get(ref)
                except (BlobLost, BlobFolderUnusable) as error:
                    found[ref.where] = error
        return _Fetched(found)

    def _require_data(self) -> None:
        entry = self.entry
        if entry.keeps_data:
            return
        how = "was stopped" if entry.state == "stopped" else entry.state
        advice = " Keep them next time: nflow run --keep-data" if entry.dropped == AT_THE_END else ""
        raise UsageError(f"Run {entry.run} {how}, and its data were dropped {entry.dropped}.{advice}")

    def _unknown(self, key: str) -> UsageError:
        listing = f"nflow store keys {self.entry.run}" + (f" --section {META}" if self._section == META else "")
        return UsageError(f"No key '{key}' in the store of run {self.entry.run}. The keys that there are: {listing}")


class _Fetched:
    """Large values that are at hand."""

    def __init__(self, found: dict[bytes | str, bytes | NflowError]) -> None:
        self._found = found

    def get_blob(self, ref: Ref, what: str = "A value") -> Data:  # noqa: ARG002 - the name that others give it
        """The bytes of one."""
        found = self._found[ref.where]
        if isinstance(found, NflowError):
            raise found
        return bytearray(found)  # arrays live in what they are made of, and are to be like any others


class _Typed:
    """For values that were typed: none of them is large."""

    terms = Terms(inline_size=_ROOM_BYTES)

    def get_blob(self, ref: Ref, what: str = "A value") -> Data:
        """There are none."""
        raise NotImplementedError(f"{what}: {ref}")

    def put_blob(self, value: Encoded, digest: str | None = None) -> Ref:  # noqa: ARG002 - part of the protocol
        """Refuse it."""
        raise UsageError(f"A value of {value.size_bytes} bytes is too large to be typed. Set it in a task.")
