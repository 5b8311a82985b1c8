"""Data as the engine sees it: names and references, never values.

Drivers move these from task to task without decoding a byte; only `wire/` turns a value into a `Ref` and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

INLINE = "inline"
BLOB = "blob"
FILE = "file"

#: User bytes that one event or job may carry unless it is told otherwise; what is beyond goes into blobs.
INLINE_SIZE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Where one encoded value is, and enough about it to decide without fetching it."""

    scheme: str  #: `inline`: the bytes are in `where`; `blob`: an upload's subject; `file`: a path below `blobs.url`
    where: bytes | str
    size_bytes: int
    digest: str  #: of the encoded bytes, see `wire/digest`; empty for inline values, which are compared as bytes
    type: str  #: what kind of value it is, as `wire/values` names it; `dict` values are merged key by key


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What one task hands on: its values by key, and the names of the tasks that they passed through."""

    values: Mapping[str, Ref] = field(default_factory=dict)
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInput:
    """What one task receives: a dataset for each predecessor that ran, found by position or by alias."""

    datasets: tuple[Dataset, ...]
    aliases: Mapping[str, int] = field(default_factory=dict)
    default: int = 0


Tree: TypeAlias = Ref | dict[str, "Tree"] | list["Tree"]
"""Many values under one key, as the store keeps them: dicts and lists down to the references."""
