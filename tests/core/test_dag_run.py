import pytest

from nflow.core.commands import Cancel, Dispatch, FinishDag, Record, StopRun, WakeLater
from nflow.core.dag_run import DagRun, TaskState, apply, begin, input_of, outstanding, wake
from nflow.core.events import DagReopened, OwnerChanged, RunFinished, Status, TaskCancelled, TaskEvent, TaskSkipped
from nflow.core.ids import TaskId, WorkerId
from nflow.core.retry import RetrySpec
from nflow.core.spec import OnFailure
from nflow.core.unknown import UnknownEvent
from tests.core.build import aborted, failed, released, started, stop, succeeded


def dispatch(task: str) -> Dispatch:
    return Dispatch(task=TaskId(task), attempt=1)


def cancel(task: str, reason: str) -> Cancel:
    return Cancel(task=TaskId(task), attempt=1, reason=reason)


def cancelled(task: str, reason: str) -> TaskCancelled:
    return TaskCancelled(task=TaskId(task), reason=reason)


def skipped(task: str) -> TaskSkipped:
    return TaskSkipped(task=TaskId(task))


def record(*events: TaskEvent) -> Record:
    return Record(events=events)


def finish(status: Status, *, first: str = "a", **counts: int) -> FinishDag:
    reason = f"task '{first}' failed: ValueError: boom" if status is Status.FAILED else ""
    return FinishDag(
        **{"status": status, "succeeded": 0, "failed": 0, "skipped": 0, "cancelled": 0} | counts, reason=reason
    )


# --- going well ------------------------------------------------------------------------------------------------------


def test_a_new_dag_run_dispatches_its_roots_as_declared(dag_run):
    run = dag_run("b>c a>c")

    assert begin(run) == [dispatch("b"), dispatch("a")]


def test_an_empty_dag_ends_at_once(dag_run):
    run = dag_run("")

    assert begin(run) == [finish(Status.SUCCEEDED)]
    assert run.is_settled


def test_a_success_dispatches_what_waited_for_it_as_declared(dag_run):
    run = dag_run("a c b a>b a>c")

    assert apply(run, started("a")) == []
    assert apply(run, succeeded("a")) == [dispatch("c"), dispatch("b")]


def test_a_join_is_dispatched_once_by_the_last_of_its_predecessors(dag_run):
    run = dag_run("a>d b>d c>d")

    assert apply(run, succeeded("c")) == []
    assert apply(run, succeeded("a")) == []
    assert apply(run, succeeded("b")) == [dispatch("d")]


def test_the_last_success_finishes_the_dag(dag_run):
    run = dag_run("a>b")

    apply(run, succeeded("a"))

    assert apply(run, succeeded("b")) == [finish(Status.SUCCEEDED, succeeded=2)]


def test_a_cascade_of_skips_is_recorded_in_one_batch_before_what_is_dispatched(dag_run):
    run = dag_run("a>b b>c c>d a>e c>f", keep="c")

    commands = apply(run, succeeded("a", limit=("e",)))

    assert commands == [record(skipped("b"), skipped("c")), dispatch("d"), dispatch("e"), dispatch("f")]


def test_a_cascade_that_reaches_the_end_finishes_the_dag(dag_run):
    run = dag_run("a>b b>c")

    commands = apply(run, succeeded("a", limit=()))

    assert commands == [record(skipped("b"), skipped("c")), finish(Status.SUCCEEDED, succeeded=1, skipped=2)]


# --- failing, aborting, stopping -------------------------------------------------------------------------------------


def test_a_failure_cancels_what_waits_and_tells_the_workflow(dag_run):
    run = dag_run("a>b b>c x>b y")
    apply(run, started("x"))

    commands = apply(run, failed("a"))

    why = "task 'a' failed"
    assert commands == [
        record(cancelled("b", why), cancelled("c", why)),
        StopRun(reason="task 'a' failed: ValueError: boom", by="main:1/a", status=Status.FAILED),
        cancel("y", why),
    ]
    assert run.state_of(TaskId("y")) is TaskState.READY
    assert run.state_of(TaskId("x")) is TaskState.RUNNING


def test_a_failing_dag_ends_when_the_last_running_task_has(dag_run):
    run = dag_run("a b>c")
    apply(run, started("b"))
    apply(run, failed("a"))
    apply(run, cancelled("c", "recorded"))

    commands = apply(run, succeeded("b"))

    assert commands == [finish(Status.FAILED, succeeded=1, failed=1, cancelled=1)]


def test_the_only_task_failing_ends_the_dag(dag_run):
    run = dag_run("a")

    commands = apply(run, failed("a"))

    assert [type(command) for command in commands] == [StopRun, FinishDag]


def test_a_ready_task_is_cancelled_once_the_log_says_so(dag_run):
    run = dag_run("a b")
    apply(run, failed("a"))

    commands = apply(run, cancelled("b", "task 'a' failed"))

    assert commands == [finish(Status.FAILED, failed=1, cancelled=1)]


def test_a_task_that_was_claimed_in_the_moment_of_the_stop_is_waited_for_and_its_successors_never_start(dag_run):
    run = dag_run("a b>c")
    apply(run, failed("a"))
    apply(run, cancelled("c", "recorded"))

    assert apply(run, started("b")) == []
    assert apply(run, succeeded("b")) == [finish(Status.FAILED, succeeded=1, failed=1, cancelled=1)]


def test_an_abort_stops_the_run_and_counts_the_task_as_cancelled(dag_run):
    run = dag_run("a>b")

    commands = apply(run, aborted("a", reason="no beam"))

    assert commands == [
        record(cancelled("b", "no beam")),
        StopRun(reason="no beam", by="main:1/a", status=Status.STOPPED),
        finish(Status.STOPPED, cancelled=2),
    ]


def test_a_stop_that_was_asked_for_is_not_told_to_the_workflow(dag_run):
    run = dag_run("a>b")

    commands = apply(run, stop("lunch", grace=5.0))

    assert commands == [record(cancelled("b", "lunch")), cancel("a", "lunch")]
    assert run.stop == stop("lunch", grace=5.0)


@pytest.mark.parametrize("status", [Status.STOPPED, Status.FAILED])
def test_a_dag_that_is_stopped_for_the_failure_of_another_ends_as_stopped(dag_run, status):
    run = dag_run("a")
    apply(run, stop(status=status))

    commands = apply(run, cancelled("a", "lunch"))

    assert commands == [finish(Status.STOPPED, cancelled=1)]


def test_a_failure_outweighs_the_stop_before_it(dag_run):
    run = dag_run("a b")
    apply(run, started("a"))
    apply(run, started("b"))
    apply(run, stop())
    apply(run, aborted("b"))

    commands = apply(run, failed("a"))

    assert commands == [
        StopRun(reason="task 'a' failed: ValueError: boom", by="main:1/a", status=Status.FAILED),
        finish(Status.FAILED, failed=1, cancelled=1),
    ]


def test_the_workflow_is_told_of_the_first_failure_only(dag_run):
    run = dag_run("a b c")
    for task in "abc":
        apply(run, started(task))
    apply(run, failed("a"))

    assert apply(run, failed("b")) == []
    assert apply(run, aborted("c")) == [finish(Status.FAILED, failed=2, cancelled=1)]


def test_a_long_error_does_not_travel_with_every_cancelled_task(dag_run):
    run = dag_run("a>b")

    commands = apply(run, aborted("a", reason="x" * 5000))

    assert all(len(repr(command)) < 400 for command in commands)


def test_a_second_stop_changes_nothing(dag_run):
    run = dag_run("a>b")
    apply(run, stop("lunch"))

    assert apply(run, stop("again")) == []
    assert run.stop == stop("lunch")


def test_a_stop_after_all_is_settled_changes_nothing(dag_run):
    run = dag_run("a")
    apply(run, succeeded("a"))

    assert apply(run, stop()) == []
    assert run.status is Status.SUCCEEDED


def test_a_running_task_that_was_killed_is_cancelled(dag_run):
    run = dag_run("a")
    apply(run, started("a"))
    apply(run, stop())

    assert apply(run, cancelled("a", "killed")) == [finish(Status.STOPPED, cancelled=1)]


# --- repeated, late, out of order ------------------------------------------------------------------------------------


def test_a_repeated_event_changes_nothing(dag_run):
    run = dag_run("a>b")
    apply(run, started("a"))
    apply(run, succeeded("a"))

    assert apply(run, started("a")) == []
    assert apply(run, succeeded("a")) == []
    assert run.state_of(TaskId("a")) is TaskState.SUCCEEDED


def test_only_the_first_outcome_counts(dag_run):
    run = dag_run("a>b")
    apply(run, succeeded("a"))

    assert apply(run, failed("a", execution=2)) == []
    assert run.status is Status.SUCCEEDED


def test_an_outcome_of_an_execution_that_was_taken_over_is_ignored(dag_run):
    run = dag_run("a")
    apply(run, started("a", 1))
    apply(run, started("a", 2))

    assert apply(run, failed("a", 1)) == []
    assert apply(run, succeeded("a", 2)) == [finish(Status.SUCCEEDED, succeeded=1)]


def test_a_release_makes_the_task_ready_without_another_job(dag_run):
    run = dag_run("a")
    apply(run, started("a", 1))

    assert apply(run, released("a", 1)) == []
    assert run.state_of(TaskId("a")) is TaskState.READY


def test_a_claim_that_was_released_does_not_come_back(dag_run):
    run = dag_run("a")
    apply(run, started("a", 1))
    apply(run, released("a", 1))

    apply(run, started("a", 1))
    assert run.state_of(TaskId("a")) is TaskState.READY
    apply(run, started("a", 2))
    apply(run, released("a", 1))
    assert run.state_of(TaskId("a")) is TaskState.RUNNING


def test_a_task_released_in_a_stopping_dag_is_cancelled(dag_run):
    run = dag_run("a")
    apply(run, started("a"))
    apply(run, stop("lunch"))

    assert apply(run, released("a")) == [cancel("a", "lunch")]


def test_a_release_is_believed_even_if_its_claim_was_not_seen(dag_run):
    run = dag_run("a")
    apply(run, stop("lunch"))

    assert apply(run, released("a")) == [cancel("a", "lunch")]
    assert apply(run, released("a")) == []
    apply(run, started("a"))
    assert run.state_of(TaskId("a")) is TaskState.READY


def test_a_claim_that_is_seen_before_the_predecessors_outcome_is_believed(dag_run):
    run = dag_run("a>b")

    apply(run, started("b"))

    assert run.state_of(TaskId("b")) is TaskState.RUNNING
    assert apply(run, succeeded("a")) == []


def test_an_outcome_that_is_seen_before_the_predecessors_is_believed(dag_run):
    run = dag_run("a>b b>c")

    assert apply(run, succeeded("b")) == [dispatch("c")]
    assert apply(run, succeeded("a")) == []


def test_a_skip_that_is_read_from_the_log_before_its_cause_goes_on(dag_run):
    run = dag_run("a>b b>c")

    assert apply(run, skipped("b")) == [record(skipped("c"))]
    assert apply(run, skipped("b")) == []
    assert apply(run, succeeded("a", limit=())) == [finish(Status.SUCCEEDED, succeeded=1, skipped=2)]


def test_a_cancellation_that_is_read_before_its_stop_stops_the_dag(dag_run):
    run = dag_run("a>b c")

    commands = apply(run, cancelled("b", "lunch"))

    assert commands == [cancel("a", "lunch"), cancel("c", "lunch")]


def test_a_recorded_cancellation_wins_over_a_derived_skip(dag_run):
    run = dag_run("a>b")
    apply(run, succeeded("a", limit=()))

    apply(run, cancelled("b", "lunch"))

    assert run.state_of(TaskId("b")) is TaskState.CANCELLED
    assert outstanding(run) == [finish(Status.STOPPED, succeeded=1, cancelled=1)]


def test_a_claim_wins_over_a_derived_cancellation(dag_run):
    run = dag_run("a>b x")
    apply(run, stop())

    apply(run, started("b"))

    assert run.state_of(TaskId("b")) is TaskState.RUNNING


def test_a_recorded_cancellation_is_final(dag_run):
    run = dag_run("a")
    apply(run, started("a"))
    apply(run, cancelled("a", "killed"))

    apply(run, started("a", 2))

    assert run.state_of(TaskId("a")) is TaskState.CANCELLED


def test_what_an_earlier_driver_may_have_dispatched_is_cancelled_by_a_look_at_its_claim(dag_run):
    """It may have read the success of `a` before the failure of `x`, died, and left a job for `b` behind."""
    run = dag_run("a>b b>c x")
    apply(run, started("a"))
    apply(run, failed("x"))

    commands = apply(run, succeeded("a"))

    assert commands == [cancel("b", "task 'x' failed")]
    assert not run.is_settled


def test_what_is_on_record_as_cancelled_needs_no_second_look(dag_run):
    run = dag_run("a>b x")
    apply(run, started("a"))
    apply(run, failed("x"))
    apply(run, cancelled("b", "task 'x' failed"))

    assert apply(run, succeeded("a")) == [finish(Status.FAILED, first="x", succeeded=1, failed=1, cancelled=1)]


# --- taking over -----------------------------------------------------------------------------------------------------


def test_a_new_driver_dispatches_what_is_ready_and_records_what_was_skipped(dag_run):
    run = dag_run("a>b a>c d")
    apply(run, started("d"))
    apply(run, succeeded("a", limit=("c",)))

    assert outstanding(run) == [record(skipped("b")), dispatch("c")]


def test_a_new_driver_asks_for_nothing_that_is_on_record(dag_run):
    run = dag_run("a>b a>c")
    apply(run, succeeded("a", limit=("c",)))
    apply(run, skipped("b"))
    apply(run, started("c"))

    assert outstanding(run) == []


def test_a_new_driver_of_a_failing_dag_goes_on_stopping_it(dag_run):
    run = dag_run("a>b c")
    apply(run, failed("a"))

    assert outstanding(run) == [
        record(cancelled("b", "task 'a' failed")),
        StopRun(reason="task 'a' failed: ValueError: boom", by="main:1/a", status=Status.FAILED),
        cancel("c", "task 'a' failed"),
    ]


def test_a_new_driver_of_a_settled_dag_finishes_it(dag_run):
    run = dag_run("a")
    apply(run, succeeded("a"))

    assert outstanding(run) == [finish(Status.SUCCEEDED, succeeded=1)]


def test_a_task_that_was_handed_back_before_its_predecessors_were_read_is_not_dispatched(dag_run):
    run = dag_run("a>b")
    apply(run, started("a"))
    apply(run, released("b"))

    assert outstanding(run) == []


# --- what has no place here ------------------------------------------------------------------------------------------


def test_a_new_owner_changes_nothing(dag_run):
    run = dag_run("a")

    assert apply(run, OwnerChanged(worker=WorkerId("w-2"))) == []


@pytest.mark.parametrize("event", [succeeded("ghost"), RunFinished(status=Status.FAILED), TaskEvent(task=TaskId("a"))])
def test_an_event_that_has_no_place_here_is_refused_with_the_story(dag_run, event):
    run = dag_run("a b c d e>f")
    apply(run, failed("b"))

    with pytest.raises(
        UnknownEvent, match=r"dag run 'main:1' \(4 ready: a, c, d, …; 1 failed: b; .*stopping: task 'b'"
    ):
        apply(run, event)


# --- attempts --------------------------------------------------------------------------------------------------------


def see(run: DagRun, *events: TaskEvent) -> None:
    for event in events:
        apply(run, event)


TWICE = RetrySpec(attempts=2, pause=5.0)


def test_a_failed_task_waits_before_its_second_attempt(dag_run):
    run = dag_run("a>b", retry=TWICE)

    assert apply(run, failed("a")) == [WakeLater(task=TaskId("a"), attempt=2, seconds=5.0)]
    assert run.state_of(TaskId("a")) is TaskState.RETRYING
    assert wake(run, TaskId("a"), 2) == [Dispatch(task=TaskId("a"), attempt=2)]
    assert apply(run, started("a", attempt=2)) == []
    assert run.state_of(TaskId("a")) is TaskState.RUNNING
    assert apply(run, succeeded("a", attempt=2)) == [Dispatch(task=TaskId("b"), attempt=1)]


def test_the_last_attempt_that_fails_is_the_failure_of_the_task(dag_run):
    run = dag_run("a>b", retry=TWICE)
    see(run, failed("a"))

    commands = apply(run, failed("a", attempt=2))

    assert run.state_of(TaskId("a")) is TaskState.FAILED
    assert any(isinstance(command, StopRun) for command in commands)


def test_an_attempt_that_is_over_can_neither_fail_again_nor_be_woken(dag_run):
    run = dag_run("a", retry=TWICE)
    see(run, failed("a"))

    assert apply(run, failed("a")) == []
    assert apply(run, started("a", 2)) == []
    see(run, started("a", attempt=2))
    assert wake(run, TaskId("a"), 2) == []


def test_a_driver_that_takes_over_waits_for_the_rest_of_the_pause(dag_run):
    run = dag_run("a", retry=TWICE)
    see(run, failed("a"))

    assert outstanding(run) == [WakeLater(task=TaskId("a"), attempt=2, seconds=5.0)]


def test_an_attempt_whose_failure_was_read_before_its_input_is_followed_by_another_when_that_is_there(dag_run):
    """An earlier driver had dispatched it: the next attempt asks for what this one has not read yet."""
    run = dag_run("a>b", retry=TWICE)
    see(run, failed("b"))

    too_early = wake(run, TaskId("b"), 2)
    commands = apply(run, succeeded("a"))

    assert too_early == []
    assert commands == [WakeLater(task=TaskId("b"), attempt=2, seconds=5.0)]
    assert wake(run, TaskId("b"), 2) == [Dispatch(task=TaskId("b"), attempt=2)]


def test_a_stop_ends_a_pause(dag_run):
    run = dag_run("a", retry=TWICE)
    see(run, failed("a"))

    assert apply(run, stop("lunch")) == [Cancel(task=TaskId("a"), attempt=2, reason="lunch")]
    assert wake(run, TaskId("a"), 2) == []
    assert outstanding(run) == [Cancel(task=TaskId("a"), attempt=2, reason="lunch")]


def test_a_failure_may_stop_its_dag_alone(dag_run):
    run = dag_run("a>b c", on_failure=OnFailure.STOP_DAG)

    commands = apply(run, failed("a"))

    assert not any(isinstance(command, StopRun) for command in commands)
    assert run.tasks_in(TaskState.CANCELLED) == ["b"]
    assert run.status is Status.FAILED


def test_a_failure_may_skip_its_successors_and_let_the_others_go_on(dag_run):
    run = dag_run("a>b c>d b>e d>e", on_failure=OnFailure.SKIP_SUCCESSORS)

    commands = apply(run, failed("a"))

    assert commands == [Record(events=(TaskSkipped(task=TaskId("b")),))]
    see(run, succeeded("c"))
    assert apply(run, succeeded("d")) == [Dispatch(task=TaskId("e"), attempt=1)]
    assert input_of(run, TaskId("e")).aliases == {"d": 0}
    assert apply(run, succeeded("e")) == [finish(Status.FAILED, succeeded=3, failed=1, skipped=1)]


def test_of_several_failures_that_the_dag_bears_the_first_in_its_schema_is_told(dag_run):
    run = dag_run("a b", on_failure=OnFailure.SKIP_SUCCESSORS)
    apply(run, failed("b"))

    assert apply(run, failed("a")) == [finish(Status.FAILED, first="a", failed=2)]


def test_a_failure_that_was_mended_by_a_retry_is_no_reason_any_more(dag_run):
    run = dag_run("a b", on_failure=OnFailure.SKIP_SUCCESSORS)
    for event in (failed("a"), succeeded("b"), DagReopened(number=1)):
        apply(run, event)

    assert apply(run, succeeded("a", attempt=2)) == [finish(Status.SUCCEEDED, succeeded=2)]
