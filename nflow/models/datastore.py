"""The run's store, as a callback may rely on it; the worker brings the object that does it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from nflow.models.gone import missing


class DataStoreDocumentSection(StrEnum):
    """Where in the store a key lives: among the users' data, or in what nflow notes about the run."""

    Data = "data"
    Meta = "meta"


class DataStoreDocument(Protocol):
    """The data that all tasks of a run share. A key is a path, with dots between its parts: a dict can be reached into.

    With `once`, a change is made once although the task is repeated after its worker was lost: the n-th such call of a
    task is the same change in every attempt. Text instead of True is an identity of your own, for calls that may come
    in another order.
    """

    def get(self, key: str, default: object = None, *, section: str = DataStoreDocumentSection.Data) -> Any:
        """The value at `key`, or `default` where there is none. Of a key with parts: all of them, as a dict."""

    def set(self, key: str, value: object, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Put `value` at `key`, making the path to it."""

    def update(self, values: Mapping[str, object], *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Put each value at its key, one after the other. If one of them cannot be sent, none is put."""

    def delete(self, key: str, *, section: str = DataStoreDocumentSection.Data) -> bool:
        """Remove what is at `key`; whether there was anything."""

    def keys(self, prefix: str = "", *, section: str = DataStoreDocumentSection.Data) -> list[str]:
        """The dotted keys of all values, or of those below `prefix`, sorted."""

    def push(
        self,
        key: str,
        value: object,
        *,
        section: str = DataStoreDocumentSection.Data,
        once: bool | str = False,
    ) -> bool:
        """Append `value` as one element to the list at `key`, which is made if need be."""

    def extend(
        self,
        key: str,
        values: Sequence[object],
        *,
        section: str = DataStoreDocumentSection.Data,
        once: bool | str = False,
    ) -> bool:
        """Append each element of a list to the list at `key`; anything but a list changes nothing and gives False."""

    def increment(
        self,
        key: str,
        by: float = 1,
        *,
        section: str = DataStoreDocumentSection.Data,
        once: bool | str = False,
    ) -> bool:
        """Add to the number at `key`, which begins with 0."""

    def compare_and_set(
        self, key: str, expected: object, value: object, *, section: str = DataStoreDocumentSection.Data
    ) -> bool:
        """Put `value` at `key` if `expected` is there, None standing for nothing; whether it was."""


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        raise missing(__name__, name)
