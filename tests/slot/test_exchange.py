"""Values in a task's hands and references on the wire: small ones inside, large ones apart, untouched ones kept."""

import pytest

from nflow.blobs.terms import Terms
from nflow.core.dataset import BLOB, INLINE, INLINE_SIZE_BYTES, Dataset, Ref, TaskInput
from nflow.slot.exchange import LONGEST_HISTORY, Packer, grown, opened
from nflow.wire.values import Encoded


class Shelf:
    """Blobs, and how often they were fetched."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.terms = Terms(max_value_size=1_000_000)

    def get_blob(self, ref: Ref, what: str = "") -> bytes:
        self.fetched.append(str(ref.where))
        return self.blobs[str(ref.where)]

    def put_blob(self, value: Encoded, digest: str | None = None) -> Ref:
        where = f"blob{len(self.blobs)}"
        self.blobs[where] = value.data
        return Ref(scheme=BLOB, where=where, size_bytes=value.size_bytes, digest=value.digest, type=value.type)


@pytest.fixture
def shelf():
    return Shelf()


def data_with(shelf, **values):
    """The data of a task whose predecessor has handed on these values."""
    before = opened(TaskInput(datasets=(Dataset(),), aliases={"before": 0}), shelf)
    for key, value in values.items():
        before[key] = value
    return Packer(shelf).dataset(before.default_dataset)


def reopened(shelf, dataset):
    return opened(TaskInput(datasets=(dataset,), aliases={"before": 0}), shelf)


def test_a_small_value_travels_inside_the_message(shelf):
    dataset = data_with(shelf, number=5)

    assert dataset.values["number"].scheme == INLINE
    assert reopened(shelf, dataset)["number"] == 5


def test_a_large_value_travels_apart(shelf):
    dataset = data_with(shelf, text="x" * 2 * INLINE_SIZE_BYTES)

    assert dataset.values["text"].scheme == BLOB
    assert reopened(shelf, dataset)["text"] == "x" * 2 * INLINE_SIZE_BYTES


def test_many_small_values_have_no_more_room_than_one_large_one(shelf):
    dataset = data_with(shelf, **{f"key{number}": "x" * 1000 for number in range(10)})

    inline = [ref for ref in dataset.values.values() if ref.scheme == INLINE]
    assert sum(ref.size_bytes for ref in inline) <= INLINE_SIZE_BYTES
    assert len(shelf.blobs) == 10 - len(inline)


def test_what_a_task_does_not_touch_is_neither_fetched_nor_sent_again(shelf):
    first = data_with(shelf, image=b"x" * 100_000)

    second = Packer(shelf).dataset(reopened(shelf, first).default_dataset)

    assert second.values == first.values
    assert shelf.fetched == []
    assert len(shelf.blobs) == 1


def test_what_a_task_has_only_looked_at_is_not_sent_again(shelf):
    first = data_with(shelf, image=b"x" * 100_000)
    data = reopened(shelf, first)
    assert len(data["image"]) == 100_000

    second = Packer(shelf).dataset(data.default_dataset)

    assert second.values == first.values
    assert len(shelf.blobs) == 1


def test_what_a_task_has_changed_in_place_is_sent_anew(shelf):
    first = data_with(shelf, numbers=list(range(5000)))
    data = reopened(shelf, first)
    data["numbers"].append(1)

    second = Packer(shelf).dataset(data.default_dataset)

    assert second.values != first.values
    assert reopened(shelf, second)["numbers"][-1] == 1


def test_a_long_history_is_cut(shelf):
    dataset = Dataset(history=tuple(f"t{number}" for number in range(2 * LONGEST_HISTORY)))

    packed = Packer(shelf).dataset(reopened(shelf, dataset).default_dataset)

    assert len(packed.history) == LONGEST_HISTORY
    assert packed.history[-1] == f"t{2 * LONGEST_HISTORY - 1}"


@pytest.mark.parametrize(
    "value",
    [
        5,
        None,
        "text",
        {"a": {"b": [1, 2]}, "c": []},
        [1, [2, 3], {"d": 4}],
        [],
        {},
        {1: "no string"},
        list(range(5000)),
        [b"x" * 5000, b"y"],
    ],
)
def test_what_the_store_keeps_comes_back(shelf, value):
    assert grown(Packer(shelf).tree(value), shelf) == value


def test_lists_of_the_store_grow_by_elements_and_by_lists(shelf):
    tree = [*Packer(shelf).tree([1, 2]), Packer(shelf).value([3]), *Packer(shelf).tree([4])]

    assert grown(tree, shelf) == [1, 2, [3], 4]
