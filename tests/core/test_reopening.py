"""What has ended and begins again: which outcomes count, and what comes next."""

import pytest

from nflow.core.commands import Dispatch, FinishDag, FinishRun, Record, StartDag
from nflow.core.dag_run import TaskState, apply, input_of, missing_outputs, supply
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagReopened,
    DagRequested,
    DagStarted,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskCancelled,
    TaskSkipped,
)
from nflow.core.ids import DagId, DagName, TaskId
from nflow.core.retry import RetrySpec
from nflow.core.spec import OnFailure
from nflow.core.workflow_run import RunState, autostart_key, outstanding, unasked
from nflow.core.workflow_run import apply as apply_to_workflow
from tests.core.build import dag, failed, started, stop, succeeded

MAIN, SUB = DagId("main:1"), DagId("sub:1")


def see(run, *events):
    for event in events:
        apply(run, event)
    return run


def reopened(number=1, *redo):
    return DagReopened(number=number, redo=tuple(map(TaskId, redo)))


def dispatch(task, attempt=1):
    return Dispatch(task=TaskId(task), attempt=attempt)


# --- a dag run -------------------------------------------------------------------------------------------------------


def test_what_failed_is_dispatched_with_the_next_attempt_and_what_succeeded_counts(dag_run):
    run = see(dag_run("a>b b>c"), succeeded("a"), failed("b"))

    assert apply(run, reopened()) == [dispatch("b", 2)]

    assert run.tasks_in(TaskState.SUCCEEDED) == ["a"]
    assert run.tasks_in(TaskState.WAITING) == ["c"]
    assert run.status is Status.SUCCEEDED


def test_a_task_that_was_never_dispatched_begins_with_its_first_attempt(dag_run):
    run = see(dag_run("a>b"), failed("a"), reopened())

    assert apply(run, succeeded("a", attempt=2)) == [dispatch("b", 1)]


def test_a_task_whose_dispatch_was_cancelled_gets_another_number_as_its_job_may_still_be_there(dag_run):
    run = see(dag_run("a"), stop(), TaskCancelled(task=TaskId("a"), reason="lunch", attempt=1))

    assert apply(run, reopened()) == [dispatch("a", 2)]


def test_it_gets_another_number_also_where_it_was_cancelled_before_it_was_known_to_be_dispatched(dag_run):
    dispatched = TaskCancelled(task=TaskId("b"), reason="lunch", attempt=1)
    run = see(dag_run("a>b"), stop(), TaskCancelled(task=TaskId("b"), reason="lunch"), succeeded("a"), dispatched)

    assert apply(run, reopened()) == [dispatch("b", 2)]


def test_a_skip_that_follows_from_a_limit_holds(dag_run):
    run = see(dag_run("a>b a>c"), succeeded("a", limit=("c",)), failed("c"))

    apply(run, reopened())

    assert run.tasks_in(TaskState.SKIPPED) == ["b"]


def test_a_skip_that_follows_from_a_failure_is_judged_again(dag_run):
    run = see(dag_run("a>b", on_failure=OnFailure.SKIP_SUCCESSORS), failed("a"), reopened())

    assert run.tasks_in(TaskState.WAITING) == ["b"]
    assert apply(run, succeeded("a", attempt=2)) == [dispatch("b")]


def test_what_a_stop_had_cancelled_may_be_skipped_in_the_end(dag_run):
    run = see(dag_run("a>b a>c"), started("a"), stop(), succeeded("a", limit=("c",)))
    see(run, TaskCancelled(task=TaskId("c"), reason="lunch", attempt=1))

    commands = apply(run, reopened())

    assert commands == [Record(events=(TaskSkipped(task=TaskId("b"), opening=1),)), dispatch("c", 2)]


def test_a_task_that_is_done_again_takes_all_that_follow_it_along(dag_run):
    run = see(dag_run("a>b b>c a>d"), *map(succeeded, "abcd"))

    assert apply(run, reopened(1, "b")) == [dispatch("b", 2)]

    assert run.tasks_in(TaskState.WAITING) == ["c"]
    assert run.tasks_in(TaskState.SUCCEEDED) == ["a", "d"]
    assert [run.renewed_in(TaskId(task)) for task in "abcd"] == [0, 1, 1, 0]


def test_an_output_that_was_let_go_is_asked_for_and_taken_back(dag_run):
    run = see(dag_run("a>b"), succeeded("a"), succeeded("b"), reopened(1, "b"))
    assert missing_outputs(run) == ["a"]

    supply(run, succeeded("a"))

    assert missing_outputs(run) == []
    assert input_of(run, TaskId("b")).datasets == (succeeded("a").output,)


def test_what_still_comes_of_earlier_attempts_and_stops_changes_nothing(dag_run):
    run = see(dag_run("a>b"), failed("a"), reopened())

    late = [started("a", 3), failed("a", 3), succeeded("a", 3), stop()]
    late += [TaskCancelled(task=TaskId("a"), reason="", attempt=1), TaskCancelled(task=TaskId("b"), reason="")]
    late += [TaskSkipped(task=TaskId("b")), reopened()]

    assert [apply(run, event) for event in late] == [[]] * len(late)
    assert run.tasks_in(TaskState.READY) == ["a"]
    assert run.tasks_in(TaskState.WAITING) == ["b"]


def test_a_stop_of_its_own_time_stops_it(dag_run):
    run = see(dag_run("a>b"), failed("a"), reopened())

    apply(run, StopRequested(reason="lunch", by="ada", opening=1))

    assert run.stopping == "lunch"


def test_retries_are_counted_from_the_reopening(dag_run):
    run = see(dag_run("a", retry=RetrySpec(attempts=2)), failed("a"), failed("a", attempt=2), reopened())

    apply(run, failed("a", attempt=3))

    assert run.tasks_in(TaskState.RETRYING) == ["a"]


def test_a_dag_run_in_which_nothing_is_left_to_do_ends_at_once(dag_run):
    run = see(dag_run("a"), started("a"), stop(), succeeded("a"))

    [finish] = apply(run, reopened())

    assert isinstance(finish, FinishDag)
    assert finish.status is Status.SUCCEEDED


# --- a workflow run --------------------------------------------------------------------------------------------------

RUN_STARTED = RunStarted(workflow="wf", spec="digest", engine="0.1")
REQUEST = DagRequested(key="k", dag=DagName("sub"), by="main:1/t")


def granted(key, dag_id):
    return DagStarted(key=key, dag=dag_id)


def ended(dag_id, status=Status.SUCCEEDED, opening=0):
    return DagFinished(dag=dag_id, status=status, opening=opening)


@pytest.fixture
def over(workflow_run):
    """A run in which `main:1` succeeded and `sub:1`, which it had asked for, failed."""
    run = workflow_run(dag("", name="main"), dag("", name="sub", autostart=False))
    past = [RUN_STARTED, granted(autostart_key(DagName("main")), MAIN), REQUEST, granted("k", SUB), ended(MAIN)]
    for event in [*past, stop(status=Status.FAILED), ended(SUB, Status.FAILED), RunFinished(status=Status.FAILED)]:
        apply_to_workflow(run, event)
    return run


def test_the_dag_runs_that_are_named_start_again(over):
    commands = apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))

    assert commands == [StartDag(dag=SUB, name=DagName("sub"), key="k")]
    assert over.state is RunState.RUNNING
    assert over.openings == {SUB: 1}


def test_the_end_of_an_earlier_opening_ends_nothing(over):
    apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))

    apply_to_workflow(over, ended(SUB, Status.FAILED))
    apply_to_workflow(over, RunFinished(status=Status.FAILED))

    assert list(over.running) == [SUB]
    assert over.state is RunState.RUNNING


def test_when_all_went_well_this_time_the_run_succeeds(over):
    apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))

    commands = apply_to_workflow(over, ended(SUB, opening=1))

    assert commands == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_a_dag_run_that_is_to_be_started_anew_stays_over_and_fails_nothing(over):
    retried = RunRetried(number=1, by="ada", dags=(MAIN,), redo={MAIN: (TaskId("t"),)}, superseded=(SUB,))

    apply_to_workflow(over, retried)
    commands = apply_to_workflow(over, ended(MAIN, opening=1))

    assert commands == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_the_request_of_a_dag_run_that_succeeded_must_be_found_again(over):
    apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))
    apply_to_workflow(over, ended(SUB, opening=1))
    apply_to_workflow(over, RunFinished(status=Status.SUCCEEDED, opening=1))

    commands = apply_to_workflow(over, RunRetried(number=2, by="ada", dags=(SUB,), redo={SUB: ()}))

    assert commands == []
    assert unasked(over) == ["k"]
    assert apply_to_workflow(over, REQUEST) == [StartDag(dag=SUB, name=DagName("sub"), key="k")]


def test_a_request_that_was_refused_as_the_run_ended_is_granted_when_it_is_made_again(over):
    late = DagRequested(key="late", dag=DagName("sub"), by="main:1/t")
    apply_to_workflow(over, late)
    apply_to_workflow(over, DagRefused(key="late", reason="the run has ended"))
    apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))

    [recorded, *_] = apply_to_workflow(over, late)

    assert recorded == Record(events=(granted("late", DagId("sub:2")),))


def test_a_run_that_was_stopped_before_anything_began_starts_its_dags(workflow_run):
    run = workflow_run(dag("", name="main"))
    for event in (stop(), RUN_STARTED, RunFinished(status=Status.STOPPED)):
        apply_to_workflow(run, event)

    commands = apply_to_workflow(run, RunRetried(number=1, by="ada"))

    assert [command.dag for command in commands if isinstance(command, StartDag)] == [MAIN]


def test_a_dag_that_was_only_promised_when_the_run_ended_is_put_on_record(workflow_run):
    run = workflow_run(dag("", name="main"))
    for event in (RUN_STARTED, stop(), RunFinished(status=Status.STOPPED)):
        apply_to_workflow(run, event)

    commands = apply_to_workflow(run, RunRetried(number=1, by="ada"))

    assert Record(events=(granted(autostart_key(DagName("main")), MAIN),)) in commands
    assert [command.dag for command in commands if isinstance(command, StartDag)] == [MAIN]


def test_a_driver_that_takes_over_starts_what_was_reopened(over):
    apply_to_workflow(over, RunRetried(number=1, by="ada", dags=(SUB,)))

    assert outstanding(over) == [StartDag(dag=SUB, name=DagName("sub"), key="k")]
