"""All there is to know of a run: the fold of its events."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.bus.port import Record
from nflow.core.dag_run import DagRun, apply
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    RunRetried,
    RunStarted,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
)
from nflow.core.ids import DagId, WorkerId
from nflow.core.retry import RetrySpec
from nflow.view.detail import MISPLACED, NO_BEGINNING, SETTLED, RunDetail
from tests.core.dag_world import DagWorld, random_dag
from tests.view.tale import MAIN, RUN, SUBJECTS, WHO, WHY, A, B, failed, started, succeeded

ABORTED = TaskAborted(task=A, attempt=1, execution=1, reason="", provenance=WHO)
BAD_END = RunFinished(status=Status.FAILED)
BEGUN = RunStarted(workflow="w", spec="d", engine="1", queue="q", submitted=90.0)
GRANTED = DagStarted(key="k", dag=MAIN)


class Book:
    """A run in all its details, and events told to it in the order of its log."""

    def __init__(self, *, attempts: int = 1) -> None:
        retries = {("main", A): RetrySpec(attempts=attempts)} if attempts > 1 else {}
        self.run = RunDetail(run=RUN, retries=retries)
        self.seq = 0

    def tell(self, *events: Event, dag: DagId | None = None) -> "Book":
        for event in events:
            self.seq += 1
            self.run.take(event, Record(SUBJECTS.own(RUN, dag), self.seq, 100.0 + self.seq, b""))
        return self

    @property
    def states(self) -> dict[str, str]:
        return {task.id: task.state for task in self.run.dags[MAIN].tasks.values()}


@pytest.fixture
def book() -> Book:
    return Book().tell(BEGUN, GRANTED)


@pytest.mark.parametrize(
    ("events", "state", "counts"),
    [
        ([started(A)], "running", {"running": 1}),
        ([started(A), succeeded(A)], "succeeded", {"succeeded": 1}),
        ([started(A), succeeded(A), started(A), succeeded(A)], "succeeded", {"succeeded": 1}),
        ([started(A), failed(A)], "failed", {"failed": 1}),
        ([started(A), TaskReleased(task=A, attempt=1, execution=1)], "ready", {"ready": 1}),
        ([TaskSkipped(task=A)], "skipped", {"skipped": 1}),
        ([TaskCancelled(task=A, reason="r")], "cancelled", {"cancelled": 1}),
        ([started(A), ABORTED], "cancelled", {"cancelled": 1}),
        ([succeeded(A), TaskCancelled(task=A, reason="late")], "succeeded", {"succeeded": 1}),
    ],
)
def test_a_task_is_in_the_state_that_its_events_tell(book: Book, events, state, counts):
    book.tell(*events, dag=MAIN)

    assert book.states == {A: state}
    assert +book.run.counts == counts


def test_an_execution_knows_who_ran_it_and_when(book: Book):
    book.tell(started(A), succeeded(A), dag=MAIN)

    [execution] = book.run.dags[MAIN].tasks[A].attempts[1].executions.values()
    assert (execution.worker, execution.host, execution.pid) == ("w", "edge-1", 1)
    assert (execution.claimed, execution.started, execution.ended, execution.settled) == (103.0, 0.0, 1.0, 104.0)


def test_an_execution_whose_attempt_is_claimed_again_is_lost(book: Book):
    again = TaskStarted(task=A, attempt=1, execution=2, worker=WorkerId("other"), host="edge-2", lost=1)

    book.tell(started(A), again, dag=MAIN)

    attempt = book.run.dags[MAIN].tasks[A].attempts[1]
    assert [(each.worker, each.state) for each in attempt.executions.values()] == [("w", "lost"), ("other", "running")]
    assert attempt.lost == 1


def test_a_failure_that_another_attempt_follows_leaves_the_task_between_two_attempts():
    book = Book(attempts=2).tell(BEGUN, GRANTED)

    book.tell(started(A), failed(A), dag=MAIN)

    assert book.states == {A: "retrying"}
    assert book.run.dags[MAIN].tasks[A].attempts[1].error == WHY


def test_the_next_attempt_shows_that_a_failure_was_not_final_where_the_policy_is_not_known(book: Book):
    second = TaskStarted(task=A, attempt=2, execution=1, worker=WorkerId("w"), host="edge-1")

    book.tell(started(A), failed(A), second, dag=MAIN)

    assert book.states == {A: "running"}
    assert [each.state for each in book.run.dags[MAIN].tasks[A].attempts.values()] == ["failed", "running"]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "running"),
        ([StopRequested(reason="r", by="p")], "stopping"),
        ([StopRequested(reason="r", by="p", dag=MAIN)], "running"),
        ([RunFinished(status=Status.STOPPED)], "stopped"),
        ([RunFinished(status=Status.FAILED), StopRequested(reason="late", by="p")], "failed"),
        ([RunFinished(status=Status.FAILED), RunRetried(number=1, by="p")], "running"),
        ([BAD_END, RunRetried(number=1, by="p"), BAD_END], "running"),
    ],
)
def test_a_run_is_in_the_state_that_its_log_tells(book: Book, events, state):
    book.tell(*events)

    assert book.run.state == state


def test_a_failure_outweighs_a_wish_to_stop_as_the_reason(book: Book):
    book.tell(StopRequested(reason="wish", by="a person"), StopRequested(reason="why", by="b", status=Status.FAILED))

    assert (book.run.reason, book.run.by) == ("why", "b")


def test_a_dag_run_waits_for_its_driver(book: Book):
    before = book.run.dags[MAIN].state

    book.tell(OwnerChanged(worker=WorkerId("w")), dag=MAIN)

    assert (before, book.run.dags[MAIN].state, book.run.dags[MAIN].worker) == ("waiting", "running", "w")


def test_a_retried_run_remembers_how_it_had_ended(book: Book):
    book.tell(RunFinished(status=Status.FAILED, reason="why"), RunRetried(number=1, by="somebody"))

    [retrial] = book.run.retrials
    assert (retrial.number, retrial.by, retrial.status, retrial.reason, retrial.ended) == (
        1, "somebody", "failed", "why", 103.0,
    )  # fmt: skip
    assert book.run.ended is None


def test_in_a_reopened_dag_run_what_failed_begins_again_and_what_succeeded_counts(book: Book):
    book.tell(started(A), succeeded(A), started(B), failed(B), dag=MAIN)
    book.tell(DagFinished(dag=MAIN, status=Status.FAILED), RunFinished(status=Status.FAILED))

    book.tell(RunRetried(number=1, by="p", dags=(MAIN,))).tell(DagReopened(number=1), dag=MAIN)

    assert book.states == {A: "succeeded", B: "waiting"}
    assert (book.run.state, book.run.dags[MAIN].state) == ("running", "running")


def test_dag_runs_whose_place_others_take_do_not_count(book: Book):
    book.tell(started(A), succeeded(A), dag=MAIN).tell(RunFinished(status=Status.FAILED))

    book.tell(RunRetried(number=1, by="p", superseded=(MAIN,)))

    assert book.run.dags[MAIN].is_superseded
    assert not +book.run.counts


def test_a_log_without_its_beginning_is_told_from_a_whole_one():
    book = Book().tell(started(A), dag=MAIN)

    assert [note.text for note in book.run.notes] == [NO_BEGINNING]
    assert book.run.state == "running"


def test_a_run_that_was_given_up_before_it_began_misses_nothing():
    book = Book().tell(RunFinished(status=Status.FAILED, reason="no worker could drive it"))

    assert (book.run.state, book.run.notes) == ("failed", [])


def test_what_cannot_be_read_is_noted_once(book: Book):
    record = Record(SUBJECTS.own(RUN), 9, 109.0, b"?")

    book.run.take_unreadable(record, "it is damaged")
    book.run.take_unreadable(record, "it is damaged")

    assert [(note.seq, note.text) for note in book.run.notes] == [(9, "it is damaged")]


def test_an_event_of_a_task_in_the_log_of_the_workflow_is_noted(book: Book):
    book.tell(started(A))

    assert [note.text for note in book.run.notes] == [MISPLACED]


@pytest.mark.parametrize("name", ["größe:1", "a.b*c>:1", f"{'long' * 100}:1"])
def test_events_belong_to_a_dag_run_whatever_its_name_is(book: Book, name):
    dag = DagId(name)

    book.tell(DagStarted(key="x", dag=dag)).tell(started(A), dag=dag)

    assert book.run.dags[dag].tasks[A].state == "running"


@given(seed=st.integers(min_value=0, max_value=2**32), steps=st.integers(min_value=0, max_value=120))
@settings(max_examples=300, deadline=None)
def test_at_the_end_of_every_history_tasks_are_as_the_driver_has_them(seed, steps):
    random = Random(seed)
    world = DagWorld(random, random_dag(random), calm=False)
    for _ in range(random.choice([1, 1, 2, 3])):
        if world.finished is not None:
            world.reopen()
        for _ in range(steps):
            world.step()
        world.run_to_the_end()
    retries = {("main", task.id): task.retry for task in world.spec.tasks if task.retry is not None}
    book = Book()
    book.run.retries = retries
    driver = DagRun(MAIN, world.spec)

    book.tell(BEGUN, GRANTED).tell(*world.log, dag=MAIN)
    for event in world.log:
        apply(driver, event)

    told = {task.id: driver.state_of(task.id).value for task in world.spec.tasks}
    assert {task: state for task, state in book.states.items() if state in SETTLED} == told
