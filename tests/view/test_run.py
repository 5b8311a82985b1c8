"""What a person sees of a run while it moves: the fold of its events."""

from collections import Counter
from dataclasses import replace

import pytest

from nflow.core.events import (
    DagFinished,
    DagStarted,
    RemoteError,
    RunFinished,
    RunRetried,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskReleased,
    TaskSkipped,
)
from nflow.core.ids import DagId, TaskId
from nflow.core.retry import RetrySpec
from nflow.view.run import MOST_DAGS, MOST_FAILURES, DagFrame, RunView
from tests.view.tale import MAIN, WHO, WHY, A, B, Tale, failed, started, succeeded


def test_a_dag_that_was_started_is_in_flight_with_all_its_tasks_to_do(tale: Tale):
    frame = tale.view.frame()

    assert (frame.done, frame.total, frame.running) == (0, 2, 0)
    assert frame.dags == (DagFrame(dag=MAIN, done=0, total=2, running=()),)


@pytest.mark.parametrize(
    ("events", "running", "counts"),
    [
        ([started(A)], (A,), {}),
        ([started(B), started(A)], (B, A), {}),
        ([started(A), succeeded(A)], (), {"succeeded": 1}),
        ([started(A), failed(A)], (), {"failed": 1}),
        ([started(A), TaskReleased(task=A, attempt=1, execution=1)], (), {}),
        ([TaskSkipped(task=A)], (), {"skipped": 1}),
        ([TaskCancelled(task=A, reason="")], (), {"cancelled": 1}),
        ([started(A), TaskAborted(task=A, attempt=1, execution=1, reason="", provenance=WHO)], (), {"cancelled": 1}),
        ([succeeded(A), started(A)], (), {"succeeded": 1}),
        ([succeeded(A), succeeded(A)], (), {"succeeded": 1}),
    ],
)
def test_tasks_are_in_flight_from_their_claim_to_their_outcome(tale: Tale, events, running, counts):
    tale.tell(*events, dag=MAIN)

    frame = tale.view.frame()
    assert frame.dags[0].running == running
    assert frame.running == len(running)
    assert frame.done == sum(counts.values())
    assert tale.view.counts == counts


def test_of_an_ended_dag_the_counts_of_its_end_remain(tale: Tale):
    tale.tell(succeeded(A), dag=MAIN)

    tale.tell(DagFinished(dag=MAIN, status=Status.SUCCEEDED, succeeded=1, skipped=1))
    tale.tell(succeeded(A), started(B), dag=MAIN)

    assert tale.view.counts == {"succeeded": 1, "skipped": 1}
    assert tale.view.dags == ()
    frame = tale.view.frame()
    assert (frame.done, frame.total, frame.dags) == (2, 2, ())


def test_a_task_of_a_dag_whose_start_is_not_known_yet_counts(tale: Tale):
    other = DagId("sub:1")

    tale.tell(started(A), dag=other).tell(DagStarted(key="k2", dag=other))

    assert tale.view.frame().total == 5
    assert tale.view.frame().dags[0] == DagFrame(dag=other, done=0, total=3, running=(A,))


@pytest.mark.parametrize("name", ["größe:1", "a.b*c>:1", f"{'long' * 100}:1"])
def test_dags_are_called_what_the_user_called_them(name: str):
    tale = Tale(**{name.partition(":")[0]: 1}).tell(DagStarted(key="k", dag=DagId(name)))

    tale.tell(started(A), dag=DagId(name))

    assert tale.view.frame().dags == (DagFrame(dag=DagId(name), done=0, total=1, running=(A,)),)


def test_a_frame_names_a_few_dags_first_those_that_have_running_tasks():
    dags = [DagId(f"sub:{number}") for number in range(MOST_DAGS + 3)]
    tale = Tale(sub=1).tell(*(DagStarted(key=dag, dag=dag) for dag in dags))

    tale.tell(started(A), dag=dags[-1])

    frame = tale.view.frame()
    assert [dag.dag for dag in frame.dags] == [dags[-1], *dags[: MOST_DAGS - 1]]
    assert frame.more_dags == 3


def test_the_first_failures_are_kept_and_all_are_counted(tale: Tale):
    tale.tell(*(failed(TaskId(f"t{number}")) for number in range(100)), dag=MAIN)

    assert [failure.event.task for failure in tale.view.failures] == [f"t{number}" for number in range(MOST_FAILURES)]
    assert tale.view.failures[0].event.error == WHY
    assert tale.view.counts["failed"] == 100


def test_a_failure_that_comes_after_the_end_of_its_dag_is_kept(tale: Tale):
    tale.tell(DagFinished(dag=MAIN, status=Status.FAILED, failed=1, cancelled=1))

    tale.tell(failed(A), dag=MAIN)

    assert [failure.event.task for failure in tale.view.failures] == [A]
    assert tale.view.counts == {"failed": 1, "cancelled": 1}


def test_the_first_wish_to_stop_the_run_is_told(tale: Tale):
    tale.tell(StopRequested(reason="only that dag", by="x", dag=MAIN))
    assert tale.view.frame().remark is None

    tale.tell(StopRequested(reason="stopped by Ctrl-C", by="Ctrl-C"), StopRequested(reason="again", by="y"))

    assert tale.view.frame().remark == "stopped by Ctrl-C"


def test_a_run_takes_the_time_from_its_start_to_its_end_by_the_clock_of_the_server(tale: Tale):
    assert tale.view.finished is None

    tale.tell(RunFinished(status=Status.SUCCEEDED))

    assert tale.view.finished == RunFinished(status=Status.SUCCEEDED)
    assert tale.view.seconds == 2.0


def retried(number: int = 1, **fields: object) -> RunRetried:
    return RunRetried(number=number, by="ada", dags=(MAIN,), **fields)


def test_a_run_that_is_retried_is_in_flight_again_with_what_had_succeeded(tale: Tale):
    tale.tell(succeeded(A), failed(B), dag=MAIN)
    tale.tell(
        StopRequested(reason="b failed", by="b"), DagFinished(dag=MAIN, status=Status.FAILED, succeeded=1, failed=1)
    )
    tale.tell(RunFinished(status=Status.FAILED))

    tale.tell(retried())

    assert tale.view.finished is None
    assert tale.view.failures == []
    assert tale.view.counts == {"succeeded": 1}
    frame = tale.view.frame()
    assert frame.remark is None
    assert frame.dags == (DagFrame(dag=MAIN, done=1, total=2, running=()),)


def test_a_run_that_is_retried_ends_with_the_counts_and_the_time_of_its_last_opening(tale: Tale):
    tale.tell(succeeded(A), failed(B), dag=MAIN)
    tale.tell(DagFinished(dag=MAIN, status=Status.FAILED, succeeded=1, failed=1), RunFinished(status=Status.FAILED))
    tale.tell(retried())

    tale.tell(replace(started(B), attempt=2), replace(succeeded(B), attempt=2), dag=MAIN)
    tale.tell(DagFinished(dag=MAIN, status=Status.SUCCEEDED, succeeded=2, opening=1))
    tale.tell(RunFinished(status=Status.SUCCEEDED, opening=1))

    assert tale.view.counts == {"succeeded": 2}
    assert tale.view.seconds == 4.0


def test_a_task_that_is_done_again_is_not_done_until_it_has_ended_again(tale: Tale):
    tale.tell(succeeded(A), failed(B), dag=MAIN)
    tale.tell(DagFinished(dag=MAIN, status=Status.FAILED, succeeded=1, failed=1), retried(redo={MAIN: (A,)}))

    tale.tell(replace(started(A), attempt=2), dag=MAIN)

    assert tale.view.counts == Counter()
    assert tale.view.frame().dags == (DagFrame(dag=MAIN, done=0, total=2, running=(A,)),)


def test_dag_runs_that_are_started_anew_do_not_count_any_more(tale: Tale):
    old = DagId("sub:1")
    tale.tell(DagStarted(key="k2", dag=old), DagFinished(dag=old, status=Status.FAILED, failed=3))
    tale.tell(DagFinished(dag=MAIN, status=Status.SUCCEEDED, succeeded=2))

    tale.tell(retried(superseded=(old,)))

    assert tale.view.counts["failed"] == 0


def test_the_attempts_after_a_retry_are_counted_anew():
    tale = Tale(main=1)
    tale.view = RunView({"main": 1}, {("main", A): RetrySpec(attempts=2, pause=1.0)})
    tale.tell(failed(A), replace(failed(A), attempt=2), dag=MAIN)
    tale.tell(DagFinished(dag=MAIN, status=Status.FAILED, failed=1), retried())
    tale.view.news.clear()

    tale.tell(replace(failed(A), attempt=3), dag=MAIN)

    assert [news.partition(". ")[2] for news in tale.view.news] == ["Attempt 2 of 2 follows in 1 s."]
    assert tale.view.failures == []


@pytest.fixture
def tried_thrice() -> Tale:
    """A run whose only task is tried three times."""
    tale = Tale(main=1)
    tale.view = RunView({"main": 1}, {("main", A): RetrySpec(attempts=3, pause=1.0, factor=2.0)})
    return tale.tell(DagStarted(key="k", dag=MAIN))


@pytest.mark.parametrize(
    "ends",
    [
        [failed(A), TaskCancelled(task=A, attempt=2, reason="stopped")],
        [failed(A)],
        [failed(A), replace(started(A), attempt=2), TaskReleased(task=A, attempt=2, execution=1)],
    ],
)
def test_an_attempt_that_a_stop_has_cancelled_is_used_up(tried_thrice: Tale, ends):
    tried_thrice.tell(*ends, dag=MAIN)
    tried_thrice.tell(DagFinished(dag=MAIN, status=Status.STOPPED, cancelled=1), retried())
    tried_thrice.view.news.clear()

    tried_thrice.tell(replace(failed(A), attempt=3), dag=MAIN)

    assert [news.partition(". ")[2] for news in tried_thrice.view.news] == ["Attempt 2 of 3 follows in 1 s."]


def test_an_attempt_that_was_not_to_be_made_yet_is_not_used_up(tried_thrice: Tale):
    tried_thrice.tell(TaskCancelled(task=A, reason="stopped"), dag=MAIN)
    tried_thrice.tell(DagFinished(dag=MAIN, status=Status.STOPPED, cancelled=1), retried())

    tried_thrice.tell(failed(A), dag=MAIN)

    assert [news.partition(". ")[2] for news in tried_thrice.view.news] == ["Attempt 2 of 3 follows in 1 s."]


def test_an_attempt_that_was_cancelled_after_the_end_of_its_dag_is_used_up(tried_thrice: Tale):
    tried_thrice.tell(DagFinished(dag=MAIN, status=Status.STOPPED, cancelled=1))
    tried_thrice.tell(TaskCancelled(task=A, attempt=1, reason="stopped"), dag=MAIN).tell(retried())

    tried_thrice.tell(replace(failed(A), attempt=2), dag=MAIN)

    assert [news.partition(". ")[2] for news in tried_thrice.view.news] == ["Attempt 2 of 3 follows in 1 s."]


def test_an_error_that_is_a_sentence_keeps_one_full_stop(tried_thrice: Tale):
    error = RemoteError(type="SlotDied", message="Its process ended with exit code 4.")

    tried_thrice.tell(replace(failed(A), error=error), dag=MAIN)

    assert tried_thrice.view.news == [
        "main:1/a failed on edge-1: SlotDied: Its process ended with exit code 4. Attempt 2 of 3 follows in 1 s."
    ]


def test_a_task_between_two_attempts_is_retried_until_the_next_one_begins():
    tale = Tale()
    tale.view = RunView({"main": 2}, {("main", A): RetrySpec(attempts=2, pause=1.0)})

    tale.tell(DagStarted(key="k", dag=MAIN)).tell(started(A), failed(A), dag=MAIN)

    assert (tale.view.retrying, tale.view.counts) == (1, Counter())
    tale.tell(replace(started(A), attempt=2), dag=MAIN)
    assert tale.view.retrying == 0


def test_a_dag_that_was_stopped_is_remembered_with_who_did_it_until_the_run_is_retried(tale: Tale):
    tale.tell(StopRequested(reason="stopped by ada", by="ada", dag=MAIN))

    assert (tale.view.stopped_dags, tale.view.stopping) == ({MAIN: "ada"}, None)
    tale.tell(RunRetried(number=1, by="ada"))
    assert tale.view.stopped_dags == {}


def test_a_stop_in_the_log_of_one_dag_is_none_of_the_run(tale: Tale):
    tale.tell(StopRequested(reason="enough", by="ada"), dag=MAIN)

    assert tale.view.stopping is None
