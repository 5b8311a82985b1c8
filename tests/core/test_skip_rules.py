"""The rules by which tasks run or are skipped, row by row as Lightflow has them."""

import pytest

from nflow.core.commands import Dispatch, Record
from nflow.core.dag_run import TaskState, apply, begin, input_of
from nflow.core.events import TaskSkipped
from nflow.core.ids import TaskId
from tests.core.build import aborted, failed, succeeded

RUNS, SKIPPED, CANCELLED = TaskState.READY, TaskState.SKIPPED, TaskState.CANCELLED


def flags(force: bool, keep: bool) -> dict[str, str]:
    return {"force": "t" if force else "", "keep": "a" if keep else ""}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("limit", "force", "expected"),
    [
        (None, False, RUNS),
        (None, True, RUNS),
        (("t",), False, RUNS),
        (("t",), True, RUNS),
        (("t", "nobody"), False, RUNS),
        (("other",), False, SKIPPED),
        (("other",), True, RUNS),
        ((), False, SKIPPED),
        ((), True, RUNS),
    ],
)
def test_a_predecessor_that_ran_decides_by_its_limit(dag_run, limit, force, keep, expected):
    run = dag_run("a>t", **flags(force, keep))

    apply(run, succeeded("a", limit=limit))

    assert run.state_of(TaskId("t")) is expected


@pytest.mark.parametrize(
    ("force", "keep", "expected"),
    [(False, False, SKIPPED), (True, False, RUNS), (False, True, RUNS), (True, True, RUNS)],
)
def test_a_skipped_predecessor_decides_by_whether_it_propagates(dag_run, force, keep, expected):
    run = dag_run("first>a a>t", **flags(force, keep))

    apply(run, succeeded("first", limit=()))

    assert run.state_of(TaskId("a")) is SKIPPED
    assert run.state_of(TaskId("t")) is expected


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("end", [aborted, failed])
def test_nothing_follows_an_abort_or_a_failure_not_even_what_is_forced(dag_run, end, force):
    run = dag_run("a>t", **flags(force, keep=False))

    apply(run, end("a"))

    assert run.state_of(TaskId("t")) is CANCELLED


def test_one_predecessor_that_lets_it_is_enough_for_a_join(dag_run):
    run = dag_run("a>t b>t")

    apply(run, succeeded("a", limit=()))
    apply(run, succeeded("b"))

    assert run.state_of(TaskId("t")) is RUNS


def test_a_join_is_skipped_when_no_predecessor_lets_it(dag_run):
    run = dag_run("a>t b>t")

    apply(run, succeeded("a", limit=()))
    apply(run, succeeded("b", limit=("x",)))

    assert run.state_of(TaskId("t")) is SKIPPED


def test_a_join_waits_for_the_last_predecessor_even_when_the_first_lets_it(dag_run):
    run = dag_run("a>t b>t")

    apply(run, succeeded("a"))

    assert run.state_of(TaskId("t")) is TaskState.WAITING


def test_a_skipped_predecessor_that_does_not_propagate_lets_a_join_run_with_the_data_of_the_others(dag_run):
    run = dag_run("first>a first>b a>t b>t", keep="a")

    apply(run, succeeded("first", limit=("b",)))
    apply(run, succeeded("b", limit=()))

    assert run.state_of(TaskId("t")) is RUNS
    assert input_of(run, TaskId("t")).aliases == {"b": 0}


def test_a_limit_names_immediate_successors_only(dag_run):
    run = dag_run("a>b b>c")

    apply(run, succeeded("a", limit=("c",)))

    assert run.tasks_in(SKIPPED) == ["b", "c"]


def test_a_limit_selects_all_tasks_of_one_name(dag_run):
    run = dag_run("a>b a>b#2 a>c")

    commands = apply(run, succeeded("a", limit=("b",)))

    assert commands == [
        Record(events=(TaskSkipped(task=TaskId("c")),)),
        Dispatch(task=TaskId("b"), attempt=1),
        Dispatch(task=TaskId("b#2"), attempt=1),
    ]


def test_a_limit_compares_names_and_not_ids(dag_run):
    run = dag_run("a>b a>b#2")

    apply(run, succeeded("a", limit=("b#2",)))

    assert run.tasks_in(SKIPPED) == ["b", "b#2"]


def test_roots_always_run(dag_run):
    run = dag_run("a b>c")

    assert begin(run) == [Dispatch(task=TaskId("a"), attempt=1), Dispatch(task=TaskId("b"), attempt=1)]
