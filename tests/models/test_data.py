"""The `data` of a task: several datasets, their positions and aliases, and how they become one."""

import pickle

import pytest

from nflow.errors import DataInvalidAlias, DataInvalidIndex
from nflow.models import MultiTaskData, TaskData


def three():
    data = MultiTaskData()
    data.add_dataset("a", TaskData({"from": "a", "only_a": 1}, task_history=["a"]))
    data.add_dataset("b", TaskData({"from": "b", "only_b": 2}, task_history=["a", "b"]), aliases=["left", "right"])
    data.add_dataset("c", TaskData({"from": "c", "only_c": 3}, task_history=["c"]))
    return data


def test_datasets_are_found_by_position_and_by_alias():
    data = three()

    assert data.get_by_index(1)["from"] == "b"
    assert data.get_by_index(-1)["from"] == "c"
    assert data.get_by_alias("left") is data.get_by_alias("b") is data("right") is data.get_by_index(1)
    assert [dataset["from"] for dataset in data] == ["a", "b", "c"]
    assert data.aliases == {"a": 0, "b": 1, "left": 1, "right": 1, "c": 2}


def test_keys_are_read_and_written_in_the_default_dataset():
    data = three()
    assert data["from"] == "a"

    data.set_default_by_alias("left")
    data["new"] = 5
    del data["only_b"]

    assert data.default_index == 1
    assert "new" in data
    assert "only_b" not in data
    assert data.default_dataset.data == {"from": "b", "new": 5}
    assert "new" not in data.get_by_index(0)


def test_the_default_can_be_chosen_by_position():
    data = three()

    data.set_default_by_index(2)

    assert data["from"] == "c"


def test_an_alias_that_is_used_twice_means_the_last():
    data = MultiTaskData()

    data.add_dataset("a", TaskData({"n": 1}))
    data.add_dataset("a", TaskData({"n": 2}))

    assert data("a")["n"] == 2


def test_an_alias_can_be_added():
    data = three()

    data.add_alias("best", 2)

    assert data("best")["from"] == "c"


def test_a_dataset_and_its_aliases_can_be_given_at_once():
    data = MultiTaskData(dataset=TaskData({"n": 1}), aliases=["x", "y"])

    assert (data["n"], data("x"), data("y")) == (1, data.default_dataset, data.default_dataset)


def test_a_dataset_that_is_not_given_is_empty():
    data = MultiTaskData()

    data.add_dataset("a")
    data["n"] = 1

    assert data("a").data == {"n": 1}


@pytest.mark.parametrize(
    "use",
    [
        lambda data: data.get_by_index(3),
        lambda data: data.get_by_index(-4),
        lambda data: data.set_default_by_index(3),
        lambda data: data.add_alias("x", 3),
    ],
)
def test_a_position_without_a_dataset_is_refused(use):
    with pytest.raises(DataInvalidIndex, match="there are 3"):
        use(three())


@pytest.mark.parametrize("use", ["get_by_alias", "set_default_by_alias", "__call__"])
def test_an_unknown_alias_is_told_which_there_are(use):
    with pytest.raises(DataInvalidAlias, match=r"'zzz'.*'a', 'b', 'left', 'right', 'c'"):
        getattr(three(), use)("zzz")


@pytest.mark.parametrize(
    "use",
    [
        lambda data: data["n"],
        lambda data: data.__setitem__("n", 1),
        lambda data: data.__delitem__("n"),
        lambda data: "n" in data,
        lambda data: data.default_dataset,
        lambda data: data.flatten(),
    ],
)
def test_without_a_dataset_there_is_nothing_to_read_or_write(use):
    with pytest.raises(DataInvalidIndex):
        use(MultiTaskData())


def test_flattening_lays_the_default_dataset_over_all_others():
    data = three()
    data.set_default_by_index(1)

    assert data.flatten() is None

    assert [dataset.data for dataset in data] == [{"from": "b", "only_a": 1, "only_c": 3, "only_b": 2}]
    assert data.aliases == dict.fromkeys(["a", "b", "left", "right", "c"], 0)
    assert data.default_index == 0
    assert data.default_dataset.task_history == ["a", "c", "b"]


def test_of_the_other_datasets_the_later_wins():
    data = MultiTaskData()
    data.add_dataset("default", TaskData())
    data.add_dataset("b", TaskData({"n": 1}))
    data.add_dataset("c", TaskData({"n": 2}))

    data.flatten()

    assert data["n"] == 2


def test_flattening_into_a_copy_leaves_the_datasets_alone():
    data = three()

    flat = data.flatten(in_place=False)

    assert len(data.datasets) == 3
    assert flat["from"] == "a"
    assert flat("right")["only_c"] == 3
    assert len(flat.datasets) == 1


def test_the_history_is_kept_in_every_dataset():
    data = three()

    data.add_task_history("d")

    assert [dataset.task_history[-1] for dataset in data] == ["d", "d", "d"]


def test_all_of_it_can_be_put_together_at_once_and_sent():
    data = MultiTaskData.of([TaskData({"n": 1}), TaskData({"n": 2})], {"a": 0, "b": 1}, default=1)

    copy = pickle.loads(pickle.dumps(data))

    assert (copy["n"], copy("a")["n"], copy.aliases) == (2, 1, {"a": 0, "b": 1})


@pytest.mark.parametrize(
    "use", [lambda wrong: MultiTaskData(dataset=wrong), lambda wrong: three().add_dataset("x", wrong)]
)
def test_a_dict_is_no_dataset(use):
    with pytest.raises(TypeError, match=r"cannot be a dict\. Give it TaskData\(\{\.\.\.\}\)\."):
        use({"n": 1})
    with pytest.raises(TypeError, match=r"cannot be a list\. Give it a TaskData\."):
        use([1])
