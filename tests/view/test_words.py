"""What happened, told in words."""

from dataclasses import replace

import pytest

from nflow.bus.port import Record
from nflow.core import events
from nflow.core.events import (
    DagFinished,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskSkipped,
)
from nflow.core.ids import DagId, TaskId, WorkerId
from nflow.view.words import Told, told
from tests.view.tale import MAIN, RUN, SUBJECTS, WHO, A, failed, started, succeeded


def in_words(event: Event, *, subject: str = "") -> Told:
    return told(event, Record(subject or SUBJECTS.own(RUN), 7, 100.0, b""))


def of_task(event: Event) -> Told:
    return in_words(event, subject=SUBJECTS.task(RUN, MAIN, A))


def test_what_a_task_did_says_where_and_by_whom():
    words = of_task(started(A))

    assert (words.run, words.kind, words.place, words.what) == (RUN, "task", "main:1/a", "started")
    assert (words.by, words.host, words.attempt) == ("w", "edge-1", 1)


def test_an_end_says_how_long_it_took():
    words = of_task(succeeded(A))

    assert (words.what, words.seconds, words.pid) == ("succeeded", 1.0, 1)


def test_a_failure_says_why_in_one_line():
    words = of_task(failed(A))

    assert (words.what, words.why) == ("failed", "ValueError: no beam")


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (TaskAborted(task=A, attempt=1, execution=1, reason="enough", provenance=WHO), "aborted"),
        (TaskSkipped(task=A), "skipped"),
        (TaskCancelled(task=A, reason="stopped by me"), "cancelled"),
    ],
)
def test_other_ends_have_words_of_their_own(event: Event, what: str):
    words = of_task(event)

    assert (words.place, words.what) == ("main:1/a", what)


def test_the_end_of_a_run_says_how_it_ended_and_why():
    words = in_words(RunFinished(status=Status.FAILED, reason="main:1/a failed\nand more"))

    assert (words.kind, words.place, words.what, words.why) == ("run", "", "failed", "main:1/a failed")


def test_the_end_of_a_dag_run_counts_its_tasks():
    words = in_words(DagFinished(dag=MAIN, status=Status.SUCCEEDED, succeeded=3, skipped=1))

    assert (words.kind, words.place, words.what, words.more) == ("dag", MAIN, "succeeded", "3 succeeded, 1 skipped")


def test_a_stop_says_who_asked_for_it():
    words = in_words(StopRequested(reason="stopped by me", by="me", dag=DagId("sub:1")))

    assert (words.kind, words.place, words.what, words.by) == ("dag", "sub:1", "stop asked for", "me")


def test_a_start_names_the_workflow():
    words = in_words(RunStarted(workflow="scan", spec="", engine="1", queue="q"))

    assert (words.workflow, words.what) == ("scan", "started")


def test_a_retry_says_who_asked_for_it():
    words = in_words(RunRetried(number=2, by="me", dags=(MAIN,)))

    assert (words.what, words.by, words.more) == ("retried", "me", "retry 2 of main:1")


def test_who_drives_is_a_detail():
    assert in_words(OwnerChanged(worker=WorkerId("w"))).is_detail


def test_names_come_back_from_their_subjects():
    task = TaskId("a b/ü")

    words = in_words(replace(started(A), task=task), subject=SUBJECTS.task(RUN, DagId("main dag:1"), task))

    assert words.place == "main dag:1/a b/ü"


def test_every_event_there_is_has_a_word():
    from nflow.view.words import _WORDS

    ends = {RunFinished, DagFinished}
    concrete = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind not in (Event, events.TaskEvent)
    }

    assert concrete == set(_WORDS) | ends
