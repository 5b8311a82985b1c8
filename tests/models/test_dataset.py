"""One dataset: reading, writing, merging, and fetching a value no sooner than somebody touches it."""

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nflow.errors import BlobLost
from nflow.models import MultiTaskData, TaskData


@dataclass
class Elsewhere:
    """A value in another place, which counts how often it was fetched."""

    value: object
    type: str = "int"
    loads: int = field(default=0, compare=False)
    size_bytes: int = 5

    def load(self):
        self.loads += 1
        return deepcopy(self.value)


def remote(**elsewhere):
    return TaskData.of_remotes(elsewhere, task_history=["before"])


def merged(mine, theirs):
    data = TaskData(mine)
    data.merge(TaskData(theirs))
    return data.data


# --- like a dict, but not one ---


def test_a_dataset_is_read_and_written_by_key():
    data = TaskData({"a": 1})

    data["b"] = 2
    data.set("c", 3)
    del data["a"]

    assert data.data == {"b": 2, "c": 3}
    assert data["b"] == data.get("b") == 2
    assert data.get("zzz") is None
    assert data.get("zzz", 7) == 7
    assert "c" in data
    assert "a" not in data


def test_a_missing_key_is_a_key_error():
    with pytest.raises(KeyError, match="zzz"):
        TaskData()["zzz"]
    with pytest.raises(KeyError, match="zzz"):
        del TaskData()["zzz"]


def test_a_dataset_is_not_iterated_over_but_its_keys_are():
    data = TaskData({"a": 1, "b": 2})

    with pytest.raises(TypeError, match="keys"):
        list(data)
    assert list(data.keys()) == ["a", "b"]
    assert dict(data) == {"a": 1, "b": 2}


def test_a_key_that_cannot_travel_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match="must be text, not 5"):
        TaskData()[5] = "x"


def test_the_dict_of_a_dataset_is_its_own():
    data = TaskData({"a": 1})

    data.data["b"] = 2

    assert data["b"] == 2


def test_the_history_keeps_repetitions():
    data = TaskData(task_history=["a"])

    data.add_task_history("b")
    data.add_task_history("b")

    assert data.task_history == ["a", "b", "b"]


def test_a_deep_copy_shares_nothing():
    data = TaskData({"a": [1]}, task_history=["x"])

    copy = deepcopy(data)
    copy["a"].append(2)
    copy.add_task_history("y")

    assert data.data == {"a": [1]}
    assert data.task_history == ["x"]


def test_a_dataset_shows_its_values():
    assert str(TaskData({"a": 1})) == "{'a': 1}"
    assert repr(TaskData({"a": 1})) == "TaskData({'a': 1})"


# --- merging ---


@pytest.mark.parametrize(
    ("mine", "theirs", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"y": 2, "z": 2}}, {"a": {"x": 1, "y": 2, "z": 2}}),
        ({"a": {"x": {"p": 1}}}, {"a": {"x": {"q": 2}}}, {"a": {"x": {"p": 1, "q": 2}}}),
        pytest.param({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}, id="a dict wins over a scalar"),
        pytest.param({"a": {"x": 1}}, {"a": 1}, {"a": 1}, id="a scalar wins over a dict"),
        pytest.param({"a": {"x": 1}}, {"a": {"x": {"p": 1}}}, {"a": {"x": {"p": 1}}}, id="so it is deeper down"),
        pytest.param({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}, id="an empty dict takes nothing away"),
    ],
)
def test_merging_lets_the_other_win_and_joins_dicts(mine, theirs, result):
    assert merged(mine, theirs) == result


def test_merged_dicts_are_plain_new_ones():
    theirs = OrderedDict(x=OrderedDict(p=1))

    result = merged({}, {"a": theirs})["a"]

    assert type(result) is dict
    assert type(result["x"]) is dict
    result["x"]["p"] = 2
    assert theirs["x"]["p"] == 1


def test_merging_leaves_the_dicts_of_both_sides_as_they_were():
    mine, theirs = {"x": {"p": 1}}, {"x": {"q": 2}}

    assert merged({"a": mine}, {"a": theirs}) == {"a": {"x": {"p": 1, "q": 2}}}
    assert (mine, theirs) == ({"x": {"p": 1}}, {"x": {"q": 2}})


def test_merging_never_compares_values():
    image = np.ones(3)

    assert merged({"a": {"image": image}}, {"a": {"image": image}})["a"]["image"] is image


def test_merging_appends_only_names_that_are_new():
    data = TaskData(task_history=["a", "a", "b"])

    data.merge(TaskData(task_history=["b", "c"]))

    assert data.task_history == ["a", "a", "b", "c"]


trees = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
values = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@given(mine=values, theirs=values)
def test_merging_is_the_same_whether_values_were_fetched_or_not(mine, theirs):
    def far(data):
        return TaskData.of_remotes(
            {key: Elsewhere(value, "dict" if isinstance(value, dict) else "other") for key, value in data.items()}
        )

    data = far(mine)
    data.merge(far(theirs))

    assert data.data == merged(deepcopy(mine), deepcopy(theirs))
    assert list(data.keys()) == list(dict.fromkeys([*mine, *theirs]))


# --- values that are elsewhere ---


def test_a_value_is_fetched_once_when_it_is_touched():
    there = Elsewhere([1, 2])
    data = remote(a=there)

    assert (data["a"], data.get("a"), data.data) == ([1, 2], [1, 2], {"a": [1, 2]})
    assert there.loads == 1


def test_looking_at_keys_fetches_nothing():
    there = Elsewhere(5)
    data = remote(a=there)

    assert "a" in data
    assert list(data.keys()) == ["a"]
    deepcopy(data)
    assert there.loads == 0


@pytest.mark.parametrize("show", [str, repr])
def test_values_are_fetched_to_be_shown(show):
    data = MultiTaskData.of([remote(a=Elsewhere([1, 2]))], {"before": 0})

    assert "{'a': [1, 2]}" in show(data.default_dataset)
    assert "{'a': [1, 2]}" in show(data)


def test_a_large_value_is_not_fetched_to_be_shown():
    there = Elsewhere(b"x", "ndarray", size_bytes=8_000_000)
    data = remote(a=there, b=Elsewhere(5))

    assert str(data) == "{'a': <ndarray, 8.0 MB, not loaded>, 'b': 5}"
    assert there.loads == 0


def test_a_value_that_cannot_be_fetched_is_shown_as_such():
    class Lost(Elsewhere):
        def load(self):
            raise BlobLost("lost")

    data = remote(a=Lost(5), b=Elsewhere(6))

    assert str(data) == "{'a': <int, 5 bytes, not loaded>, 'b': 6}"
    with pytest.raises(BlobLost):
        data["a"]


def test_what_was_only_shown_keeps_its_origin():
    there = Elsewhere([1, 2])
    data = remote(a=there)

    str(data)

    assert data.cells()["a"].origin is there


def test_the_worker_can_tell_what_nobody_touched():
    here, there, replaced = Elsewhere(1), Elsewhere(2), Elsewhere(3)
    data = remote(here=here, there=there, replaced=replaced)

    assert data["there"] == 2
    data["replaced"] = 4
    data["new"] = 5

    cells = data.cells()
    assert (cells["here"].loaded, cells["here"].origin) == (False, here)
    assert (cells["there"].loaded, cells["there"].origin, cells["there"].value) == (True, there, 2)
    assert (cells["replaced"].loaded, cells["replaced"].origin, cells["replaced"].value) == (True, None, 4)
    assert (cells["new"].loaded, cells["new"].origin, cells["new"].value) == (True, None, 5)


def test_a_value_replaced_behind_the_dataset_has_no_origin():
    data = remote(a=Elsewhere([1]))
    assert data["a"] == [1]

    data.data["a"] = [2]

    assert data.cells()["a"].origin is None


def test_a_deleted_value_leaves_no_origin_behind():
    data = remote(a=Elsewhere(1000))
    assert data["a"] == 1000

    del data["a"]
    data["a"] = 1000

    assert data.cells()["a"].origin is None


def test_merging_fetches_nothing_unless_two_dicts_meet():
    mine, theirs, alone = Elsewhere(1), Elsewhere({"x": 1}, "dict"), Elsewhere({"y": 1}, "dict")
    data = remote(a=mine, c=Elsewhere({"z": 1}, "dict"))

    data.merge(remote(a=theirs, b=alone))

    assert (mine.loads, theirs.loads, alone.loads) == (0, 0, 0)
    assert [cell.loaded for cell in data.cells().values()] == [False, False, False]


def test_two_dicts_that_meet_are_fetched_and_joined():
    data = remote(a=Elsewhere({"x": 1}, "dict"))

    data.merge(remote(a=Elsewhere({"y": 2}, "dict")))

    assert data["a"] == {"x": 1, "y": 2}
    assert data.cells()["a"].origin is None


def test_the_same_dict_on_two_ways_is_not_fetched():
    data = remote(a=Elsewhere({"x": 1}, "dict"))

    data.merge(remote(a=Elsewhere({"x": 1}, "dict")))

    assert not data.cells()["a"].loaded


def test_an_origin_survives_a_merge():
    there = Elsewhere([1, 2])
    other = remote(a=there)
    assert other["a"] == [1, 2]

    data = TaskData({"a": 1})
    data.merge(other)

    assert data.cells()["a"].origin is there


def test_a_deep_copy_fetches_for_itself():
    data = remote(a=Elsewhere([1]), b=Elsewhere([2]))
    assert data["a"] == [1]

    copy = deepcopy(data)
    copy["a"].append(1)
    copy["b"].append(2)

    assert data.data == {"a": [1], "b": [2]}
    assert copy.cells()["a"].origin is not None
