from dataclasses import replace

import pytest

from nflow.core.commands import FinishRun, Record, StartDag, StopDag
from nflow.core.dataset import TaskInput
from nflow.core.events import (
    DagFinished,
    DagRefused,
    DagRequested,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunStarted,
    Status,
)
from nflow.core.ids import DagId, DagName, WorkerId
from nflow.core.unknown import UnknownEvent
from nflow.core.workflow_run import RunState, WorkflowRun, apply, autostart_key, begin, outstanding, request_of
from tests.core.build import dag, stop, succeeded

RUN_STARTED = RunStarted(workflow="wf", spec="digest", engine="0.1")
MAIN = dag("", name="main")
SUB = dag("", name="sub", autostart=False)


def requested(key: str, name: str = "sub") -> DagRequested:
    return DagRequested(key=key, dag=DagName(name), by="main:1/t", input=TaskInput(datasets=()))


def granted(key: str, running_name: str) -> DagStarted:
    return DagStarted(key=key, dag=DagId(running_name))


def ended(running_name: str, status: Status = Status.SUCCEEDED) -> DagFinished:
    return DagFinished(dag=DagId(running_name), status=status)


def start(key: str, running_name: str) -> StartDag:
    return StartDag(dag=DagId(running_name), name=DagName(running_name.rpartition(":")[0]), key=key)


def stop_dag(
    running_name: str, status: Status = Status.STOPPED, grace: float | None = None, reason: str = "lunch"
) -> StopDag:
    return StopDag(dag=DagId(running_name), reason=reason, by="ada", status=status, grace=grace)


def record(*events: Event) -> Record:
    return Record(events=events)


def see(run: WorkflowRun, *events: Event) -> WorkflowRun:
    for event in events:
        apply(run, event)
    return run


@pytest.fixture
def running(workflow_run):
    """A run whose `main:1` runs, and which can start `sub`."""
    return see(workflow_run(MAIN, SUB), RUN_STARTED, granted("autostart/main", "main:1"))


# --- starting --------------------------------------------------------------------------------------------------------


def test_a_run_waits_for_its_first_driver(workflow_run):
    run = workflow_run(MAIN)

    assert begin(run) == []
    assert run.state is RunState.WAITING


def test_a_run_starts_its_autostart_dags_as_declared_first_on_record(workflow_run):
    run = workflow_run(dag("", name="z"), SUB, dag("", name="a"))

    commands = apply(run, RUN_STARTED)

    assert commands == [
        record(granted("autostart/z", "z:1"), granted("autostart/a", "a:1")),
        start("autostart/z", "z:1"),
        start("autostart/a", "a:1"),
    ]
    assert run.state is RunState.RUNNING
    assert autostart_key(DagName("z")) == "autostart/z"


def test_a_run_without_autostart_dags_ends_at_once(workflow_run):
    run = workflow_run(SUB)

    assert apply(run, RUN_STARTED) == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_a_run_starts_only_once(running):
    assert apply(running, RUN_STARTED) == []


def test_a_run_that_was_stopped_while_it_waited_starts_nothing(workflow_run):
    run = workflow_run(MAIN)
    assert apply(run, stop("lunch")) == []

    commands = apply(run, RUN_STARTED)

    assert commands == [FinishRun(status=Status.STOPPED, reason="lunch")]


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_requested_dag_is_put_on_record_and_started(running):
    commands = apply(running, requested("k"))

    assert commands == [record(granted("k", "sub:1")), start("k", "sub:1")]


def test_running_names_count_the_runs_of_each_dag(running):
    see(running, requested("k1"), requested("k2", "main"))

    commands = apply(running, requested("k3"))

    assert commands == [record(granted("k3", "sub:2")), start("k3", "sub:2")]
    assert running.granted["k2"] == "main:2"


def test_a_repeated_key_is_the_same_request(running):
    see(running, requested("k"))

    assert apply(running, requested("k")) == []
    see(running, granted("k", "sub:1"), ended("sub:1"))
    assert apply(running, requested("k")) == []


def test_a_dag_that_the_workflow_does_not_have_is_refused(running):
    commands = apply(running, requested("k", "sbu"))

    assert commands == [record(DagRefused(key="k", reason="the workflow has no dag 'sbu'", unknown=True))]


def test_a_stopping_run_refuses_requests(running):
    see(running, stop())

    assert apply(running, requested("k")) == [record(DagRefused(key="k", reason="the run is stopping"))]
    assert apply(running, requested("k")) == []


def test_a_finished_run_refuses_requests(running):
    see(running, ended("main:1"), RunFinished(status=Status.SUCCEEDED))

    assert apply(running, requested("k")) == [record(DagRefused(key="k", reason="the run has ended"))]


def test_a_request_is_kept_until_its_dag_has_finished(running):
    see(running, requested("k"), granted("k", "sub:1"))
    assert request_of(running, "k") == requested("k")

    see(running, ended("sub:1"))

    assert request_of(running, "k") is None


# --- ending ----------------------------------------------------------------------------------------------------------


def test_the_run_succeeds_when_its_last_dag_has_finished(running):
    see(running, requested("k"))

    assert apply(running, ended("main:1")) == []
    assert apply(running, ended("sub:1")) == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_a_run_whose_dag_failed_ends_failed(running):
    commands = apply(running, ended("main:1", Status.FAILED))

    assert commands == [FinishRun(status=Status.FAILED, reason="main:1 failed")]


def test_a_run_whose_dag_failed_names_the_task_that_did(running):
    failed = replace(ended("main:1", Status.FAILED), reason="task 'a' failed: ValueError: boom")

    commands = apply(running, failed)

    assert commands == [FinishRun(status=Status.FAILED, reason="main:1: task 'a' failed: ValueError: boom")]


def test_a_failed_dag_outweighs_a_stop_that_was_asked_for(running):
    see(running, stop("lunch"))

    assert apply(running, ended("main:1", Status.FAILED)) == [FinishRun(status=Status.FAILED, reason="lunch")]


@pytest.mark.parametrize("status", [Status.STOPPED, Status.FAILED])
def test_a_stopped_run_ends_as_the_stop_says(running, status):
    see(running, stop("lunch", status=status))

    assert apply(running, ended("main:1", Status.STOPPED)) == [FinishRun(status=status, reason="lunch")]


def test_a_dag_that_was_stopped_alone_leaves_the_run_succeeded(running):
    see(running, stop(of="main:1"))

    assert apply(running, ended("main:1", Status.STOPPED)) == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_a_request_that_is_read_at_the_last_moment_keeps_the_run_going(running):
    see(running, ended("main:1"))

    commands = apply(running, requested("k"))

    assert commands == [record(granted("k", "sub:1")), start("k", "sub:1")]
    assert not running.is_due
    assert apply(running, ended("sub:1")) == [FinishRun(status=Status.SUCCEEDED, reason="")]


def test_nothing_follows_the_end(running):
    see(running, ended("main:1"), RunFinished(status=Status.SUCCEEDED))

    for event in (RUN_STARTED, stop(), ended("main:1"), granted("k", "sub:1"), RunFinished(status=Status.FAILED)):
        assert apply(running, event) == []
    assert outstanding(running) == []
    assert running.state is RunState.SUCCEEDED


# --- stopping --------------------------------------------------------------------------------------------------------


def test_a_stop_of_the_run_stops_every_running_dag(running):
    see(running, requested("k1"), requested("k2"), ended("sub:1"))

    commands = apply(running, stop("lunch", grace=5.0))

    assert commands == [stop_dag("main:1", grace=5.0), stop_dag("sub:2", grace=5.0)]
    assert running.state is RunState.STOPPING


def test_the_first_stop_counts(running):
    see(running, stop("lunch"))

    assert apply(running, stop("again")) == []
    assert apply(running, ended("main:1")) == [FinishRun(status=Status.STOPPED, reason="lunch")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_failure_outweighs_a_wish_whichever_is_read_first(running, order):
    stops = [stop("lunch"), stop("too late", status=Status.FAILED)]

    see(running, *(stops[position] for position in order))

    assert apply(running, ended("main:1")) == [FinishRun(status=Status.FAILED, reason="too late")]


def test_a_later_stop_gives_running_tasks_less_time_never_more(running):
    see(running, stop("a task failed", status=Status.FAILED))

    assert apply(running, stop("lunch", grace=30.0)) == [
        stop_dag("main:1", reason="a task failed", status=Status.FAILED, grace=30.0)
    ]
    assert apply(running, stop("at once", grace=0.0)) == [
        stop_dag("main:1", reason="a task failed", status=Status.FAILED, grace=0.0)
    ]
    assert apply(running, stop("take your time", grace=60.0)) == []
    assert apply(running, stop("take your time")) == []


def test_the_haste_of_a_dag_that_was_stopped_alone_outlasts_the_stop_of_the_run(running):
    see(running, requested("k"), stop("lunch", of="sub:1", grace=5.0))

    assert apply(running, stop("rain")) == [
        stop_dag("main:1", reason="rain"),
        stop_dag("sub:1", reason="rain", grace=5.0),
    ]
    assert apply(running, stop("now", of="sub:1", grace=1.0)) == [stop_dag("sub:1", reason="rain", grace=1.0)]


def test_a_stop_of_one_dag_run_stops_that_one(running):
    see(running, requested("k"))

    assert apply(running, stop("lunch", of="sub:1")) == [stop_dag("sub:1")]
    assert apply(running, stop("lunch", of="sub:1")) == []
    assert running.state is RunState.RUNNING


def test_a_stop_of_a_dag_as_it_is_defined_stops_all_its_runs(running):
    see(running, requested("k1"), requested("k2"), requested("k3"), ended("sub:1"), stop("rain", of="sub:3"))

    assert apply(running, stop("lunch", of="sub")) == [stop_dag("sub:2")]
    assert apply(running, requested("k4")) == [record(granted("k4", "sub:4")), start("k4", "sub:4")]


@pytest.mark.parametrize("name", ["sub:1", "sub:7", "sub", "ghost:1"])
def test_a_stop_of_a_dag_run_that_is_unknown_or_over_is_ignored(running, name):
    see(running, requested("k"), ended("sub:1"))

    assert apply(running, stop(of=name)) == []
    assert apply(running, requested("k7")) == [record(granted("k7", "sub:2")), start("k7", "sub:2")]


# --- repeated, late, out of order ------------------------------------------------------------------------------------


def test_the_end_of_a_dag_whose_start_was_not_seen_is_believed(running):
    see(running, ended("sub:1"))

    assert apply(running, requested("k"))[0] == record(granted("k", "sub:2"))
    assert apply(running, granted("other", "sub:1")) == []
    assert list(running.running) == ["main:1", "sub:2"]


def test_the_request_of_a_promised_name_outlives_the_end_of_who_bears_it_in_truth(running):
    see(running, requested("k1"), ended("sub:1"))

    commands = apply(running, granted("k2", "sub:1"))

    assert commands == [record(granted("k1", "sub:2")), start("k1", "sub:2")]
    assert request_of(running, "k1") == requested("k1")


def test_who_loses_a_promised_name_in_a_stopping_run_is_stopped_under_the_next(running):
    see(running, requested("k1"), stop("lunch"))

    commands = apply(running, granted("k2", "sub:1"))

    assert commands == [
        stop_dag("sub:1"),
        record(granted("k1", "sub:2")),
        start("k1", "sub:2"),
        stop_dag("sub:2"),
    ]


def test_the_log_decides_who_bears_a_name(running):
    """An earlier driver saw the second request first."""
    see(running, requested("k1"), requested("k2"))

    commands = apply(running, granted("k2", "sub:1"))

    assert running.granted["k2"] == "sub:1"
    assert commands == [record(granted("k1", "sub:2")), start("k1", "sub:2")]
    assert apply(running, granted("k1", "sub:2")) == []


def test_names_go_on_after_the_highest_that_the_log_knows(running):
    see(running, granted("old", "sub:41"))

    assert apply(running, requested("k"))[0] == record(granted("k", "sub:42"))


def test_a_grant_on_record_wins_over_a_refusal_that_is_not(running):
    """An earlier driver saw the request before the stop."""
    see(running, stop("lunch"), requested("k"))

    assert apply(running, granted("k", "sub:1")) == [stop_dag("sub:1")]
    assert request_of(running, "k") == requested("k")
    assert outstanding(running) == [
        start("autostart/main", "main:1"),
        start("k", "sub:1"),
        stop_dag("main:1"),
        stop_dag("sub:1"),
    ]


def test_a_refusal_on_record_wins_over_a_promise(running):
    see(running, requested("k"))

    apply(running, DagRefused(key="k", reason="the run is stopping"))

    assert outstanding(running) == [start("autostart/main", "main:1")]
    assert apply(running, requested("k2"))[0] == record(granted("k2", "sub:1"))


def test_a_dag_is_not_started_before_its_request_and_so_its_input_is_known(running):
    see(running, granted("k", "sub:1"))

    assert outstanding(running) == [start("autostart/main", "main:1")]
    assert apply(running, requested("k")) == [start("k", "sub:1")]


# --- taking over -----------------------------------------------------------------------------------------------------


def test_a_new_driver_starts_what_is_not_known_to_be_over(running):
    see(running, requested("k1"), granted("k1", "sub:1"), ended("sub:1"), requested("k2"), requested("x", "ghost"))

    assert outstanding(running) == [
        record(granted("k2", "sub:2"), DagRefused(key="x", reason="the workflow has no dag 'ghost'", unknown=True)),
        start("autostart/main", "main:1"),
        start("k2", "sub:2"),
    ]


def test_a_new_driver_goes_on_stopping(running):
    see(running, requested("k"), granted("k", "sub:1"), stop("lunch", of="sub:1"))

    assert outstanding(running)[-1] == stop_dag("sub:1")


def test_a_new_driver_of_a_run_that_is_due_finishes_it(running):
    see(running, ended("main:1"))

    assert outstanding(running) == [FinishRun(status=Status.SUCCEEDED, reason="")]


# --- what has no place here ------------------------------------------------------------------------------------------


def test_a_new_owner_changes_nothing(running):
    assert apply(running, OwnerChanged(worker=WorkerId("w-2"))) == []


def test_an_event_of_a_dags_log_is_refused_with_the_story(running):
    with pytest.raises(UnknownEvent, match=r"TaskSucceeded.* run 'r1' \(running; 1 dags running: main:1; 0 ended\)"):
        apply(running, succeeded("a"))
