import pytest

from nflow.core.dag_run import apply, input_of
from nflow.core.dataset import Dataset, TaskInput
from nflow.core.ids import TaskId
from nflow.errors import NflowError
from tests.core.build import started, succeeded, value


def test_a_join_gets_a_dataset_for_each_predecessor_in_the_order_of_the_edges(dag_run):
    run = dag_run("a b c c>t a>t:first b>t:second")

    for task in "abc":
        apply(run, succeeded(task))

    assert input_of(run, TaskId("t")) == TaskInput(
        datasets=(value("c"), value("a"), value("b")),
        aliases={"c": 0, "a": 1, "first": 1, "b": 2, "second": 2},
    )


def test_of_two_aliases_alike_the_later_wins(dag_run):
    run = dag_run("a a#2 b a>t a#2>t b>t:a")

    for task in ("a", "a#2", "b"):
        apply(run, succeeded(task))

    assert input_of(run, TaskId("t")).aliases == {"a": 2, "b": 2}


def test_a_predecessor_whose_limit_left_the_task_out_still_hands_on_its_data(dag_run):
    run = dag_run("a>t b>t")

    apply(run, succeeded("a", limit=()))
    apply(run, succeeded("b"))

    assert input_of(run, TaskId("t")).datasets == (value("a"), value("b"))


def test_a_root_without_input_gets_one_empty_dataset_under_its_own_name(dag_run):
    run = dag_run("a a#2")

    assert input_of(run, TaskId("a#2")) == TaskInput(datasets=(Dataset(),), aliases={"a": 0})


def test_every_root_gets_the_input_of_the_dag_as_it_is(dag_run):
    data = TaskInput(datasets=(value("x"), value("y")), aliases={"x": 0, "why": 1}, default=1)

    run = dag_run("a b", data=data)

    assert input_of(run, TaskId("a")) is data
    assert input_of(run, TaskId("b")) is data


@pytest.mark.parametrize("keep", ["", "a"])
def test_a_task_that_runs_without_any_data_gets_one_empty_dataset_under_its_own_name(dag_run, keep):
    run = dag_run("first>a a>t", force="" if keep else "t", keep=keep)

    apply(run, succeeded("first", limit=()))

    assert input_of(run, TaskId("t")) == TaskInput(datasets=(Dataset(),), aliases={"t": 0})


def test_outputs_are_passed_on_and_not_copied(dag_run):
    run = dag_run("a>b a>c")
    output = value("large")

    apply(run, succeeded("a", output=output))

    assert input_of(run, TaskId("b")).datasets[0] is output
    assert input_of(run, TaskId("c")).datasets[0] is output


def test_an_output_is_kept_until_the_last_successor_is_settled(dag_run):
    run = dag_run("a>b a>c")
    apply(run, succeeded("a"))

    apply(run, started("b"))
    apply(run, succeeded("b"))
    assert input_of(run, TaskId("c")).datasets == (value("a"),)
    apply(run, succeeded("c"))

    assert run.outputs == [None, None, None]


def test_the_input_of_a_task_that_is_not_ready_is_refused_with_the_story(dag_run):
    run = dag_run("a>b")

    with pytest.raises(NflowError, match=r"'b', which is waiting.*'a' is ready.*dag run 'main:1' \(1 waiting: b"):
        input_of(run, TaskId("b"))


def test_the_input_of_the_dag_goes_to_its_roots_only(dag_run):
    run = dag_run("a>b", data=TaskInput(datasets=(value("x"),), aliases={"x": 0}))

    apply(run, succeeded("a"))

    assert input_of(run, TaskId("b")) == TaskInput(datasets=(value("a"),), aliases={"a": 0})
