"""Values in a task's hands ⇄ references on the wire. In the child process, where values may be opened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nflow.blobs.terms import Terms
from nflow.core.dataset import INLINE, Dataset, Ref, TaskInput, Tree
from nflow.errors import ValueTooLarge
from nflow.models.task_data import Cell, MultiTaskData, TaskData
from nflow.wire.entries import ELEMENTS
from nflow.wire.values import Data, Encoded, decode, encode

#: Names of tasks that travel with data, the latest ones: a chain of 100 000 tasks must not carry them all at each step.
LONGEST_HISTORY = 100

#: A key of the store has no more parts than these.
_DEEPEST_TREE = 20


class BlobSource(Protocol):
    """Where large values come from."""

    def get_blob(self, ref: Ref, what: str = "A value") -> Data:
        """The bytes of a large value, which errors call `what`: in memory of its own, if that can be written to."""


class BlobAccess(BlobSource, Protocol):
    """How large values come and go."""

    terms: Terms

    def put_blob(self, value: Encoded, digest: str | None = None) -> Ref:
        """Store a large value; its digest is given where it is known."""


@dataclass(frozen=True, slots=True)
class RemoteValue:
    """A value of the input that nobody has looked at yet."""

    ref: Ref
    blobs: BlobSource
    what: str = field(default="A value", compare=False)  #: how errors call it

    @property
    def type(self) -> str:
        """What kind of value it is."""
        return self.ref.type

    @property
    def size_bytes(self) -> int:
        """How large it is, encoded."""
        return self.ref.size_bytes

    def load(self) -> object:
        """Fetch and decode it."""
        return load(self.ref, self.blobs, self.what)


def load(ref: Ref, blobs: BlobSource, what: str = "A value") -> object:
    """The value that `ref` stands for."""
    if ref.scheme == INLINE:
        assert isinstance(ref.where, bytes)
        return decode(ref.where, what)
    return decode(blobs.get_blob(ref, what), what)


def opened(task_input: TaskInput | None, blobs: BlobSource) -> MultiTaskData:
    """The `data` of a task."""
    if task_input is None:
        return MultiTaskData()
    datasets = [
        TaskData.of_remotes(
            {key: RemoteValue(ref, blobs, f"data[{key!r}]") for key, ref in each.values.items()},
            task_history=each.history,
        )
        for each in task_input.datasets
    ]
    return MultiTaskData.of(datasets, task_input.aliases, default=task_input.default)


class Packer:
    """Turns values into references for one message: small ones inside it while there is room, the rest as blobs."""

    def __init__(self, blobs: BlobAccess) -> None:
        self._blobs = blobs
        self._room_bytes = blobs.terms.inline_size

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

    def value(self, value: object, what: str = "This value") -> Ref:
        """A reference to `value`, which errors call `what`."""
        return self._ref(*_encoded(value, what), what)

    def tree(self, value: object, what: str = "This value") -> Tree:
        """`value` as the store keeps it: dicts and lists can be reached into."""
        return self._tree(value, what, _DEEPEST_TREE)

    def _tree(self, value: object, what: str, depth: int) -> Tree:
        """One that is nested deeper than any key can reach, perhaps without end, is a value as it is."""
        if type(value) is dict and depth and all(type(key) is str for key in value):
            return {key: self._tree(each, what, depth - 1) for key, each in value.items()}
        if type(value) is list:
            return [self._ref(_encoded(value, what)[0], ELEMENTS, what)] if value else []
        return self.value(value, what)

    def _cell(self, key: str, cell: Cell) -> Ref:
        origin = cell.origin.ref if isinstance(cell.origin, RemoteValue) else None
        if origin is not None and not cell.loaded:
            return self._kept(origin)
        what = f"data[{key!r}]"
        value, type_ = _encoded(cell.value, what)
        if origin is None or origin.type != type_ or origin.size_bytes != value.size_bytes:
            return self._ref(value, type_, what)
        if origin.scheme == INLINE:
            return self._ref(value, type_, what)
        digest = value.digest
        return origin if origin.digest == digest else self._ref(value, type_, what, digest)

    def _kept(self, ref: Ref) -> Ref:
        """A reference as it came. An inline one may find no room here, among others."""
        if ref.scheme != INLINE:
            return ref
        assert isinstance(ref.where, bytes)
        return self._ref(Encoded(type=ref.type, parts=(ref.where,)), ref.type)

    def _ref(self, value: Encoded, type_: str, what: str = "A value", digest: str | None = None) -> Ref:
        size_bytes = value.size_bytes
        if size_bytes > self._room_bytes:
            self._refuse_giant(size_bytes, type_, what)
            return self._blobs.put_blob(Encoded(type=type_, parts=value.parts), digest)
        self._room_bytes -= size_bytes
        return Ref(scheme=INLINE, where=value.data, size_bytes=size_bytes, digest="", type=type_)

    def _refuse_giant(self, size_bytes: int, type_: str, what: str) -> None:
        most = self._blobs.terms.max_value_size
        if size_bytes > most:
            raise ValueTooLarge(
                f"{what} ({type_}, {size_bytes} bytes) is over the limit of {most} bytes. Write it to a file and hand "
                "on its path, or raise limits.max_value_size where the worker is set."
            )


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


def _encoded(value: object, what: str) -> tuple[Encoded, str]:
    encoded = encode(value, what)
    return encoded, encoded.type
