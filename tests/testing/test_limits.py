"""Time limits, played: they count the time that nflow and its tasks wait, and that takes none."""

from nflow import Dag, Policy, PythonTask, Retry
from nflow.models.workflow import assembled
from nflow.testing import play


def fails_for_an_hour(data, store, signal, context):
    store.increment("tries")
    if store.get("tries") < 3:
        raise ConnectionError("the archive is away")


def waits_for_the_archive(data, store, signal, context):
    signal.join_dags([signal.start_dag("archive")])


SLOW = Dag("archive", autostart=False, retry=Retry(attempts=5, pause=3600, factor=1, max_pause=3600, jitter=0))
SLOW.define({PythonTask("fetch", fails_for_an_hour): None})


def main_dag(**policy):
    dag = Dag("main", **policy)
    dag.define({PythonTask("wait", waits_for_the_archive): PythonTask("after")})
    return dag


def test_a_task_that_waits_too_long_fails_and_says_so():
    played = play([main_dag(timeout=60), SLOW])

    assert played.status == "failed"
    wait = played["wait"]
    assert (wait.state, wait.error.type) == ("failed", "TaskTimedOut")
    assert "took longer than its timeout of 60 s" in wait.reason


def test_an_attempt_that_took_too_long_is_followed_by_another():
    played = play([main_dag(timeout=5000, retry=Retry(attempts=2, on=TimeoutError)), SLOW])

    assert played.status == "succeeded"
    wait = played["wait"]
    assert wait.attempts == 2


def test_a_limit_that_is_kept_changes_nothing():
    played = play([main_dag(timeout=24 * 3600), SLOW])

    assert played.status == "succeeded"


def test_a_run_that_takes_longer_than_its_deadline_is_stopped_as_failed(tmp_path):
    names = {"main": main_dag(), "archive": SLOW, "policy": Policy(deadline=1800)}

    played = play(assembled(names, path=tmp_path / "late.py"))

    assert played.status == "failed"
    assert played.reason == "the run took longer than its deadline of 1800 s"
    assert played["after"].state == "cancelled"


def test_a_run_that_keeps_its_deadline_succeeds(tmp_path):
    names = {"main": main_dag(), "archive": SLOW, "policy": Policy(deadline=24 * 3600)}

    assert play(assembled(names, path=tmp_path / "early.py")).status == "succeeded"
