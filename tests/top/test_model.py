"""The fold of what a feed brings into what screens show: no screen, no bus, no clock."""

from dataclasses import replace

import pytest

from nflow.bus.port import Record
from nflow.core.events import DagFinished, Event, RunFinished, RunRetried, RunStarted, Status, StopRequested, TaskFailed
from nflow.core.ids import DagId, RunId
from nflow.core.retry import RetrySpec
from nflow.engine.runs import RunEntry
from nflow.top.feed import view_of
from nflow.top.model import Model
from nflow.top.pace import Pace
from nflow.top.queues import Fill, queue_lines
from nflow.top.runs import ORDERS, Choice, Progress, RunLine, chosen
from nflow.view.run import RunView
from tests.top.script import MAIN, NOW, SCAN, SUBJECTS, Script, cancelled, failed, night, started, succeeded


def entry(run: str = "01aaa", state: str = "running", **fields: object) -> RunEntry:
    given = {"workflow": "scan", "queue": "workflow", "submitted": NOW - 60} | fields
    return RunEntry(run=RunId(run), state=state, **given)


def record(seq: int, run: str = "01aaa", dag: DagId | None = None) -> Record:
    return Record(SUBJECTS.own(RunId(run), dag), seq, NOW + seq, b"")


def line_of(script: Script, run: str) -> RunLine:
    line = script.model.runs.get(RunId(run))
    assert line is not None
    return line


# --- how far a run is ---


def test_a_run_shows_how_many_of_its_tasks_are_done_run_and_failed():
    script = Script().begin("01aaa").tell("01aaa", started("read"), succeeded("read"), started("fit"), dag=MAIN)

    script.tell("01aaa", started("index"), failed("index"), dag=MAIN)

    assert line_of(script, "01aaa").now() == Progress(done=2, total=4, running=1, failed=1)


def test_a_run_that_has_ended_keeps_its_counts_and_nothing_else():
    script = Script().begin("01aaa").tell("01aaa", started("fit"), failed("fit"), cancelled("report"), dag=MAIN)

    script.end("01aaa", Status.FAILED, "task 'fit' failed", failed=1, cancelled=3)

    line = line_of(script, "01aaa")
    assert line.progress == Progress(done=4, total=4, running=0, failed=1)
    assert line.failure is not None
    assert line._view is None


def test_a_failure_that_another_attempt_follows_is_none():
    line = RunLine(entry())
    line.learn(RunView({"main": 1}, {("main", "fit"): RetrySpec(attempts=2, pause=1.0)}), through=0)

    line.take(failed("fit"), record(1, dag=MAIN), str(MAIN))

    assert line.now() == Progress(done=0, total=1, running=0, failed=0)


@pytest.mark.parametrize("through", [0, 1, 2, 3])
def test_however_much_of_its_log_was_read_each_event_counts_once(through):
    events = [(started("read"), 1), (succeeded("read"), 2), (started("fit"), 3)]
    line = RunLine(entry())
    line.begin_reading()
    for event, seq in events:
        line.take(event, record(seq, dag=MAIN), str(MAIN))
    view = view_of(SCAN)
    for event, seq in events[:through]:
        view.take(event, record(seq, dag=MAIN))

    line.learn(view, through=through)

    assert line.now() == Progress(done=1, total=4, running=1, failed=0)


def test_a_run_whose_log_could_not_be_read_is_read_again_when_there_is_news_of_it():
    line = RunLine(entry())
    line.begin_reading()
    line.give_up_reading()
    assert not line.is_unread

    line.update(entry())

    assert line.is_unread


def test_a_run_whose_log_is_empty_is_read_when_it_begins():
    line = RunLine(entry())
    line.begin_reading()
    assert line.is_blank()
    assert not line.is_unread

    line.take(RunStarted(workflow="scan", spec="", engine="1"), record(1), "_")
    line.learn(view_of(SCAN), through=0)

    assert line.now() == Progress()


def test_a_run_that_waits_has_no_log_to_read():
    assert not RunLine(entry(state="waiting")).is_unread


def test_runs_that_are_seen_are_read_before_others_that_move():
    model = Model()
    for number in range(10):
        model.runs.update(entry(f"01r{number}", "running" if number < 5 else "failed"))

    assert model.unread([RunId("01r7"), RunId("01r3")], 4) == ["01r7", "01r3", "01r0", "01r1"]


# --- its state: the index is a hint, events are the truth ---


def test_events_say_more_than_an_index_that_is_late():
    model = Model()
    model.runs.update(entry(state="running"))
    model.take(RunFinished(status=Status.FAILED, reason="no beam"), record(5))

    model.runs.update(entry(state="running"))

    line = model.runs.get(RunId("01aaa"))
    assert (line.entry.state, line.entry.reason, line.entry.ended) == ("failed", "no beam", NOW + 5)


def test_a_run_that_was_retried_waits_until_it_is_driven_again():
    model = Model()
    model.runs.update(entry())
    model.take(RunFinished(status=Status.FAILED), record(5))

    model.runs.update(entry(state="waiting"))
    assert model.runs.get(RunId("01aaa")).entry.state == "waiting"

    model.take(RunRetried(number=1, by="ada"), record(6))
    model.runs.update(entry(state="waiting"))
    assert model.runs.get(RunId("01aaa")).entry.state == "running"


def test_a_run_that_was_retried_is_counted_anew():
    script = Script().begin("01aaa").tell("01aaa", started("fit"), failed("fit"), dag=MAIN)
    script.end("01aaa", Status.FAILED, failed=1)

    script.tell("01aaa", RunRetried(number=1, by="ada", dags=(MAIN,)))

    line = line_of(script, "01aaa")
    assert (line.entry.state, line.entry.ended, line.failure, line.is_unread) == ("running", None, None, True)


def test_a_run_stops_from_the_first_wish_on():
    script = Script().begin("01aaa")

    script.tell("01aaa", StopRequested(reason="stopped by ada", by="ada"))

    assert (line_of(script, "01aaa").entry.state, line_of(script, "01aaa").entry.reason) == (
        "stopping",
        "stopped by ada",
    )


@pytest.mark.parametrize(
    ("event", "dag"),
    [
        (StopRequested(reason="only that dag", by="ada", dag=MAIN), None),
        (StopRequested(reason="task failed", by="main:1/fit"), MAIN),
    ],
)
def test_the_stop_of_a_dag_stops_no_run(event: Event, dag):
    script = Script().begin("01aaa")

    script.tell("01aaa", event, dag=dag)

    assert line_of(script, "01aaa").entry.state == "running"


def test_a_stop_that_comes_after_the_end_changes_nothing():
    script = Script().begin("01aaa").end("01aaa", Status.SUCCEEDED)

    script.tell("01aaa", StopRequested(reason="too late", by="ada"))

    assert line_of(script, "01aaa").entry.state == "succeeded"


def test_a_run_that_the_index_has_not_told_of_is_listed_all_the_same():
    model = Model()

    model.take(RunStarted(workflow="scan", spec="", engine="1", queue="workflow"), record(1, "01new"))

    assert model.runs.strangers == {"01new"}
    assert model.runs.get(RunId("01new")).entry.workflow == "scan"
    model.runs.update(entry("01new"))
    assert model.runs.strangers == set()


def test_runs_are_counted_by_their_states():
    states = night().model.runs.states

    assert {state: count for state, count in states.items() if count} == {
        "succeeded": 1,
        "failed": 1,
        "stopped": 1,
        "running": 2,
        "stopping": 1,
        "waiting": 1,
    }


def test_an_event_of_a_broken_log_is_no_harm():
    script = Script().begin("01aaa").end("01aaa", Status.SUCCEEDED)

    script.tell("01aaa", DagFinished(dag=DagId("never:1"), status=Status.FAILED), started("read"))

    assert line_of(script, "01aaa").entry.state == "succeeded"


# --- order and choice ---


@pytest.mark.parametrize("order", list(ORDERS))
def test_runs_of_all_outcomes_can_be_sorted_by_anything(order):
    lines = list(night().model.runs)

    listed = chosen(lines, Choice(order=order))

    assert sorted(line.run for line in listed) == sorted(line.run for line in lines)


def test_failed_runs_come_first_where_that_is_asked_for():
    assert chosen(night().model.runs, Choice(order="failures"))[0].run == "01bbb"


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("train", ["01ddd"]),
        ("GPU", ["01ddd"]),
        ("scan failed", ["01bbb"]),
        ("edge-1 stopping", ["01fff"]),
        ("nowhere", []),
    ],
)
def test_all_words_must_be_somewhere_in_a_line(words, runs):
    assert [line.run for line in chosen(night().model.runs, Choice(words=words))] == runs


# --- queues ---


def test_a_queue_is_one_line_for_all_kinds_of_its_jobs():
    workers = Script().serve("task").model.workers
    fills = [
        Fill(kind="task", queue="task", python="py311", waiting=2, in_hand=1, oldest=NOW - 9),
        Fill(kind="dag", queue="task", python="any", waiting=1, in_hand=0, oldest=NOW - 30),
    ]

    [line] = queue_lines(fills, workers)

    assert (line.waiting, line.in_hand, line.oldest, dict(line.kinds)) == (3, 1, NOW - 30, {"task": 2, "dag": 1})
    assert line.lack is None


def test_a_queue_lacks_a_worker_if_none_has_the_python_of_its_jobs():
    workers = Script().serve("task").model.workers

    [line] = queue_lines([Fill(kind="task", queue="task", python="py312", waiting=1, in_hand=0, oldest=NOW)], workers)

    assert (line.lack.python, line.lack.there) == ("py312", ("py311",))


def test_an_empty_queue_that_nobody_serves_is_nobodys_business():
    assert queue_lines([Fill(kind="task", queue="old", python="py311", waiting=0, in_hand=0)], []) == []


def test_a_run_that_waits_for_a_queue_says_so_until_somebody_serves_it():
    script = night()
    assert line_of(script, "01ddd").waits_for == ("gpu",)

    script.serve("gpu", worker="gpu-1-ffffff")

    assert line_of(script, "01ddd").waits_for == ()


# --- pace and news ---


def test_the_pace_is_what_ended_second_by_second():
    pace = Pace()
    for at in (10.2, 10.9, 12.0, 13.5):
        pace.take(at)

    assert pace.last(4, 13.9) == [0, 2, 0, 1]
    assert pace.rate(13.9, over=4) == 0.75


def test_people_are_told_what_matters_and_everything_if_they_ask():
    script = Script().begin("01aaa").tell("01aaa", started("read"), succeeded("read"), failed("fit"), dag=MAIN)

    told = [type(news.event) for news in script.model.news]

    assert told[-1] is TaskFailed
    assert len(script.model.all_news) == len(told) + 2


def test_a_stop_is_told_once_though_the_dag_runs_are_told_of_it_too():
    script = Script().begin("01aaa").tell("01aaa", failed("fit"), dag=MAIN)

    script.tell("01aaa", StopRequested(reason="task failed", by="main:1/fit"))
    script.tell("01aaa", StopRequested(reason="task failed", by="main:1/fit"), dag=MAIN)

    assert [type(news.event) for news in script.model.news][-2:] == [TaskFailed, StopRequested]
    assert [type(news.event) for news in script.model.all_news][-2:] == [StopRequested, StopRequested]


def test_whatever_comes_shows_in_the_version():
    script = Script()
    versions = [script.model.version]
    for step in (
        lambda: script.submit("01aaa"),
        lambda: script.tell("01aaa", RunStarted(workflow="scan", spec="", engine="1")),
        lambda: script.serve("task"),
        script.fill,
        script.lose_server,
    ):
        step()
        versions.append(script.model.version)

    assert versions == sorted(set(versions))


def test_a_later_attempt_shows_the_worker_that_has_it():
    script = Script().begin("01aaa").tell("01aaa", replace(started("read"), worker="other"), dag=MAIN)

    assert line_of(script, "01aaa").worker == "other"
