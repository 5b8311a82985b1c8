"""Values in a task's hands ⇄ references on the wire. In the child process, where values may be opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nflow.core.dataset import BLOB, INLINE, INLINE_SIZE_BYTES, Dataset, Ref, TaskInput, Tree
from nflow.models.task_data import Cell, MultiTaskData, TaskData
from nflow.wire.digest import digest
from nflow.wire.values import decode, encode

#: Names of tasks that travel with data, the latest ones: a chain of 100 000 tasks must not carry them all at each step.
LONGEST_HISTORY = 100

#: A reference of this type holds several elements of a list, which are spliced into it.
ELEMENTS = "elements"


class BlobSource(Protocol):
    """Where large values come from."""

    def get_blob(self, ref: Ref) -> bytes:
        """The bytes of a large value."""


class BlobAccess(BlobSource, Protocol):
    """How large values come and go."""

    def put_blob(self, data: bytes, type: str) -> Ref:  # noqa: A002 - the field's name
        """Store a large value."""


@dataclass(frozen=True, slots=True)
class RemoteValue:
    """A value of the input that nobody has looked at yet."""

    ref: Ref
    blobs: BlobSource

    @property
    def type(self) -> str:
        """What kind of value it is."""
        return self.ref.type

    def load(self) -> object:
        """Fetch and decode it."""
        return load(self.ref, self.blobs)


def load(ref: Ref, blobs: BlobSource) -> object:
    """The value that `ref` stands for."""
    if ref.scheme == INLINE:
        assert isinstance(ref.where, bytes)
        return decode(ref.where)
    return decode(bytearray(blobs.get_blob(ref)))


def opened(task_input: TaskInput | None, blobs: BlobSource) -> MultiTaskData:
    """The `data` of a task."""
    if task_input is None:
        return MultiTaskData()
    datasets = [
        TaskData.of_remotes(
            {key: RemoteValue(ref, blobs) for key, ref in each.values.items()}, task_history=each.history
        )
        for each in task_input.datasets
    ]
    return MultiTaskData.of(datasets, task_input.aliases, default=task_input.default)


class Packer:
    """Turns values into references for one message: small ones inside it while there is room, the rest as blobs."""

    def __init__(self, blobs: BlobAccess, room_bytes: int = INLINE_SIZE_BYTES) -> None:
        self._blobs = blobs
        self._room_bytes = room_bytes

    def input(self, data: MultiTaskData) -> TaskInput:
        """All datasets and aliases of `data`."""
        return TaskInput(
            datasets=tuple(self.dataset(each) for each in data.datasets),
            aliases=data.aliases,
            default=data.default_index,
        )

    def dataset(self, data: TaskData) -> Dataset:
        """What a task hands on. Values that it never touched, or did not change, keep their references."""
        values = {key: self._cell(key, cell) for key, cell in data.cells().items()}
        return Dataset(values=values, history=tuple(data.task_history[-LONGEST_HISTORY:]))

    def value(self, value: object) -> Ref:
        """A reference to `value`."""
        return self._ref(*_encoded(value, "This value"))

    def tree(self, value: object) -> Tree:
        """`value` as the store keeps it: dicts and lists can be reached into."""
        if type(value) is dict and all(type(key) is str for key in value):
            return {key: self.tree(each) for key, each in value.items()}
        if type(value) is list:
            return [self._ref(_encoded(value, "This list")[0], ELEMENTS)] if value else []
        return self.value(value)

    def _cell(self, key: str, cell: Cell) -> Ref:
        origin = cell.origin.ref if isinstance(cell.origin, RemoteValue) else None
        if origin is not None and not cell.loaded:
            return self._kept(origin)
        data, type_ = _encoded(cell.value, f"data[{key!r}]")
        if origin is not None and origin.type == type_ and _is_same(origin, data):
            return self._kept(origin)
        return self._ref(data, type_)

    def _kept(self, ref: Ref) -> Ref:
        """A reference as it came. An inline one may find no room here, among others."""
        return self._ref(ref.where, ref.type) if ref.scheme == INLINE and isinstance(ref.where, bytes) else ref

    def _ref(self, data: bytes, type_: str) -> Ref:
        if len(data) > self._room_bytes:
            return self._blobs.put_blob(data, type_)
        self._room_bytes -= len(data)
        return Ref(scheme=INLINE, where=data, size_bytes=len(data), digest="", type=type_)


def grown(tree: Tree, blobs: BlobSource) -> object:
    """The value that a tree of the store stands for."""
    if isinstance(tree, Ref):
        return load(tree, blobs)
    if isinstance(tree, dict):
        return {key: grown(each, blobs) for key, each in tree.items()}
    return [element for each in tree for element in _elements(each, blobs)]


def _elements(tree: Tree, blobs: BlobSource) -> Sequence[object]:
    if isinstance(tree, Ref) and tree.type == ELEMENTS:
        values = load(tree, blobs)
        assert isinstance(values, list)
        return values
    return [grown(tree, blobs)]


def _encoded(value: object, what: str) -> tuple[bytes, str]:
    encoded = encode(value, what)
    return encoded.data, encoded.type


def _is_same(ref: Ref, data: bytes) -> bool:
    if ref.scheme == INLINE:
        return ref.where == data
    return ref.scheme == BLOB and ref.size_bytes == len(data) and ref.digest == digest(data)
