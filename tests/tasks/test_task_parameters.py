"""Parameters that are values, or functions that find them."""

import copy
import pickle

import pytest

from nflow.models import TaskParameters


def test_a_function_gives_its_value_when_the_task_runs():
    params = TaskParameters(path="/data", count=lambda data, store: data["n"] + store["n"])

    found = params.eval({"n": 1}, {"n": 2})

    assert found == {"path": "/data", "count": 3}
    assert type(found) is TaskParameters


def test_evaluating_leaves_the_parameters_as_they_are():
    params = TaskParameters(count=lambda data, store: 3)

    params.eval(None, None)

    assert callable(params.count)


def test_what_is_excluded_is_neither_asked_for_nor_there():
    params = TaskParameters(path="/data", count=lambda data, store: 1 / 0)

    assert params.eval(None, None, exclude=["count"]) == {"path": "/data"}


def test_one_parameter_can_be_asked_for_alone():
    params = TaskParameters(path="/data", count=lambda data, store: data + store)

    assert params.eval_single("count", 1, 2) == 3
    assert params.eval_single("path", 1, 2) == "/data"


def test_none_is_a_value():
    assert TaskParameters(user=None).eval(None, None).user is None


def test_keys_are_attributes():
    params = TaskParameters(path="/data")

    params.path = "/other"
    params.count = 3
    del params.path

    assert params == {"count": 3}
    assert params.count == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda params: params.zzz,
        lambda params: params.eval_single("zzz", None, None),
        lambda params: delattr(params, "zzz"),
    ],
)
def test_an_unknown_parameter_is_an_attribute_error_that_names_the_known_ones(use):
    with pytest.raises(AttributeError, match=r"No parameter 'zzz'\. There are: path, count\."):
        use(TaskParameters(path="/data", count=3))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda params: pickle.loads(pickle.dumps(params))])
def test_a_copy_is_the_same(copied):
    params = TaskParameters(path="/data", count=[3])

    assert copied(params) == params
    assert type(copied(params)) is TaskParameters
