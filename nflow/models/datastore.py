"""The run's store, as a callback may rely on it; the worker brings the object that does it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol


class DataStoreDocumentSection(StrEnum):
    """Where in the store a key lives: among the users' data, or in what nflow notes about the run."""

    Data = "data"
    Meta = "meta"


class DataStoreDocument(Protocol):
    """The data that all tasks of a run share. A key is a path, with dots between its parts."""

    def get(self, key: str, default: object = None, *, section: str = DataStoreDocumentSection.Data) -> object:
        """The value at `key`, or `default` where there is none."""

    def set(self, key: str, value: object, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Put `value` at `key`, making the path to it."""

    def push(self, key: str, value: object, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Append `value` as one element to the list at `key`, which is made if need be."""

    def extend(self, key: str, values: Sequence[object], *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Append each of `values` to the list at `key`, which is made if need be."""
