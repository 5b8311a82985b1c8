"""The data of one run as values of Python: fetched and opened in this process, one section at a time."""

from nflow.core.dataset import INLINE, Ref, Tree
from nflow.engine.engine import Engine
from nflow.engine.provenance import all_provenance_of, provenance_of
from nflow.engine.runs import AT_THE_END, RunEntry
from nflow.errors import BlobFolderUnusable, BlobLost, BrokenMessage, MissingModule, NflowError, UsageError
from nflow.slot.exchange import grown
from nflow.store.port import DATA, META
from nflow.store.tree import leaves, parts_of, refs_in
from nflow.wire.values import Data

#: Why a value that is there may not be told here.
UNTOLD = (BlobLost, BlobFolderUnusable, MissingModule, BrokenMessage)


class Stored:
    """One section of the store of a run."""

    def __init__(self, engine: Engine, entry: RunEntry, section: str = DATA) -> None:
        self.entry = entry
        self.section = section
        self.engine = engine

    async def at(self, key: str) -> Tree | None:
        """What is at a key; in the section `meta`, what is known of the run too, which outlives its data."""
        parts_of(key)
        if self.section != META:
            self.require_data()
        tree = await self.engine.store.get(self.entry.run, key, section=self.section)
        if tree is None and self.section == META:
            tree = await provenance_of(self.engine, self.entry, key)
        return tree

    async def whole(self) -> dict[str, Tree]:
        """All that the section holds."""
        if self.section != META:
            self.require_data()
            return await self.engine.store.whole(self.entry.run, section=self.section)
        noted = await all_provenance_of(self.engine, self.entry)
        return noted | await self.engine.store.whole(self.entry.run, section=self.section)

    async def keys(self, prefix: str = "") -> list[str]:
        """The dotted keys of all values, or of those below `prefix`."""
        if not prefix:
            return sorted(leaves(await self.whole()))
        tree = await self.at(prefix)
        return [] if tree is None else sorted(leaves(tree, tuple(parts_of(prefix))))

    async def opened(self, tree: Tree, what: str) -> object:
        """The value that a tree stands for.

        Raises:
            MissingModule, BlobLost, BlobFolderUnusable, BrokenMessage: it cannot be opened here; `what` is named.
        """
        try:
            return grown(tree, await self.fetched(tree))
        except UNTOLD as error:
            raise type(error)(f"{what} of {self.entry.run} cannot be opened here. {error}") from error

    async def fetched(self, tree: Tree) -> "Fetched":
        """All large values of a tree, or why they cannot be had."""
        found: dict[bytes | str, bytes | NflowError] = {}
        for ref in refs_in(tree):
            if ref.scheme != INLINE and ref.where not in found:
                try:
                    found[ref.where] = await self.engine.blobs.get(ref)
                except (BlobLost, BlobFolderUnusable) as error:
                    found[ref.where] = error
        return Fetched(found)

    def require_data(self) -> None:
        """Raise UsageError where the data of the run are gone."""
        entry = self.entry
        if entry.keeps_data:
            return
        how = "was stopped" if entry.state == "stopped" else entry.state
        advice = " Keep them next time: nflow run --keep-data" if entry.dropped == AT_THE_END else ""
        raise UsageError(f"Run {entry.run} {how}, and its data were dropped {entry.dropped}.{advice}")


class Fetched:
    """Large values that are at hand."""

    def __init__(self, found: dict[bytes | str, bytes | NflowError]) -> None:
        self._found = found

    def get_blob(self, ref: Ref, what: str = "A value") -> Data:  # noqa: ARG002 - the name that others give it
        """The bytes of one."""
        found = self._found[ref.where]
        if isinstance(found, NflowError):
            raise found
        return bytearray(found)  # arrays live in what they are made of, and are to be like any others
