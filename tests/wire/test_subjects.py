import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nflow.core.ids import DagId, RunId, TaskId, WorkerId
from nflow.errors import ConfigError
from nflow.wire.subjects import LONGEST_TOKEN_BYTES, Subjects, event_place, job_place, log_of, name_of, token

VALID_TOKEN = re.compile(r"[A-Za-z0-9=-][A-Za-z0-9=_-]*", re.ASCII)
LONG = "µ" * 200
RUN, DAG, TASK = RunId("20261120-abc"), DagId("main_dag:1"), TaskId("reduce#2")


@given(st.text(st.characters(), max_size=16))
@settings(deadline=None)
@example("")
@example("_owner")
@example("a.b *>\n\x00")
@example("=0")
@example("=x00")
@example("\udcff.tif")
def test_every_name_makes_a_valid_token_and_comes_back(name):
    made = token(name)

    assert VALID_TOKEN.fullmatch(made)
    assert name_of(made) == name


@given(st.text(max_size=400), st.text(max_size=400))
@settings(deadline=None)
def test_two_names_never_share_a_token(one, other):
    assert (token(one) == token(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reduce", "reduce"),
        ("main_dag:1", "main_dag=3A1"),
        ("_owner", "=5Fowner"),
        ("", "=0"),
        ("a.b", "a=2Eb"),
        ("a=b", "a=3Db"),
        ("größe", "gr=C3=B6=C3=9Fe"),
        ("-", "-"),
        ("٣", "=D9=A3"),
    ],
)
def test_a_token_stays_as_it_was_first_defined(name, expected):
    assert token(name) == expected


@pytest.mark.parametrize("name", ["x" * 201, LONG, "." * 67, "_" + "x" * 199])
def test_a_name_too_long_for_a_token_becomes_a_digest_that_tells_no_name(name):
    made = token(name)

    assert made.startswith("=x")
    assert len(made) == 34
    assert name_of(made) is None


def test_a_name_of_two_hundred_bytes_is_still_itself():
    name = "x" * LONGEST_TOKEN_BYTES

    assert token(name) == name


@pytest.mark.parametrize("odd", ["_owner", "_", "=5f", "=41", "=", "=C3", "a.b", "=x12", "ä"])
def test_what_is_no_token_of_a_name_tells_none(odd):
    assert name_of(odd) is None


@pytest.mark.parametrize("namespace", ["", "a.b", "_a", "a b", "x" * 33, "größe"])
def test_a_namespace_must_be_a_plain_word(namespace):
    with pytest.raises(ConfigError, match=r"server\.namespace"):
        Subjects(namespace)


def test_the_subjects_are_laid_out_as_the_streams_expect():
    subjects = Subjects("nflow")

    assert subjects.job_workflow("fast lane", RUN) == "nflow.job.workflow.fast=20lane.any.5.20261120-abc"
    assert subjects.job_dag("dag", RUN, DAG) == "nflow.job.dag.dag.any.5.20261120-abc.main_dag=3A1"
    assert (
        subjects.job_task("task", "py311", RUN, DAG, TASK, 2)
        == "nflow.job.task.task.py311.5.20261120-abc.main_dag=3A1.reduce=232.2"
    )
    assert subjects.log(RUN) == "nflow.event.20261120-abc._.>"
    assert subjects.log(RUN, DAG) == "nflow.event.20261120-abc.main_dag=3A1.>"
    assert subjects.run_events(RUN) == "nflow.event.20261120-abc.>"
    assert subjects.owner(RUN) == "nflow.event.20261120-abc._._owner"
    assert subjects.own(RUN, DAG) == "nflow.event.20261120-abc.main_dag=3A1._log"
    assert subjects.stop(RUN) == "nflow.event.20261120-abc._._stop"
    assert subjects.ask(RUN) == "nflow.event.20261120-abc._._ask"
    assert subjects.dag_finished(RUN, DAG) == "nflow.event.20261120-abc._.main_dag=3A1"
    assert subjects.task(RUN, DAG, TASK) == "nflow.event.20261120-abc.main_dag=3A1.reduce=232"
    assert subjects.blob(subjects.upload(RUN, "u1"), 3) == "nflow.blob.20261120-abc.u1.3"
    assert subjects.chunks(subjects.code("00ff")) == "nflow.blob._code.00ff.*"
    assert subjects.blobs_of(RUN) == "nflow.blob.20261120-abc.>"
    assert subjects.lines(RUN, DAG, TASK) == "nflow.log.20261120-abc.main_dag=3A1.reduce=232"
    assert subjects.lines_of(RUN) == "nflow.log.20261120-abc.>"
    assert subjects.lines_of(RUN, DAG) == "nflow.log.20261120-abc.main_dag=3A1.>"
    assert subjects.dead("task", RUN, 17) == "nflow.dead.task.20261120-abc.17"
    assert subjects.dead_letters(RUN) == "nflow.dead.*.20261120-abc.*"
    assert subjects.holder(WorkerId("host-1")) == "nflow.holder.host-1"
    assert subjects.kv("store", RUN, "data", "a.b") == "$KV.nflow_store.20261120-abc.data.a=2Eb"
    assert subjects.kv_under("store", RUN) == "$KV.nflow_store.20261120-abc.>"
    assert subjects.kv_under("runs") == "$KV.nflow_runs.>"


def test_a_dag_named_like_the_workflows_own_log_has_a_log_of_its_own():
    subjects = Subjects("nflow")

    assert subjects.log(RUN, DagId("_")) != subjects.log(RUN)
    assert subjects.task(RUN, DAG, TaskId("_owner")) != subjects.owner(RUN, DAG)


def test_a_queues_filter_matches_its_jobs_and_no_other_queues():
    subjects = Subjects("nflow")

    address = subjects.queue("task", "task", "py311")

    prefix = address.subject.removesuffix(">")
    assert subjects.job_task("task", "py311", RUN, DAG, TASK, 1).startswith(prefix)
    assert not subjects.job_task("task", "py312", RUN, DAG, TASK, 1).startswith(prefix)
    assert not subjects.job_task("task2", "py311", RUN, DAG, TASK, 1).startswith(prefix)


@given(st.text(max_size=300))
@settings(deadline=None)
def test_a_consumers_name_is_one_the_server_accepts(queue):
    name = Subjects("nflow").queue("workflow", queue).name

    assert len(name) < 255
    assert VALID_TOKEN.fullmatch(name)


def test_the_longest_names_fit_into_a_subject_of_one_kibibyte():
    subject = Subjects("n" * 32).job_task(LONG, LONG, RunId(LONG), DagId(LONG), TaskId(LONG), 99)
    longest = Subjects("n" * 32).job_task(*["q" * 200] * 2, RunId("r" * 40), DagId("d" * 200), TaskId("t" * 200), 99)

    assert len(subject) < 1024
    assert len(longest) < 1024


def test_a_records_subject_tells_its_log_and_its_task():
    subjects = Subjects("nflow")
    outcome = subjects.task(RUN, DAG, TASK)

    assert log_of(outcome) == subjects.log(RUN, DAG)
    assert event_place(outcome) == ("20261120-abc", "main_dag=3A1", "reduce=232")


def test_a_jobs_subject_tells_what_is_to_be_done():
    subjects = Subjects("nflow")

    workflow = job_place(subjects.job_workflow("workflow", RUN))
    dag = job_place(subjects.job_dag("dag", RUN, DAG))
    task = job_place(subjects.job_task("task", "py311", RUN, DAG, TASK, 2))

    assert workflow == ("workflow", "workflow", "any", RUN, "", "", 0)
    assert dag == ("dag", "dag", "any", RUN, token(DAG), "", 0)
    assert task == ("task", "task", "py311", RUN, token(DAG), token(TASK), 2)
