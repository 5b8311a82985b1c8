"""How a run ended, in words and as JSON."""

import json

from nflow.cli.follow.summary import as_json, summary
from nflow.core.events import DagFinished, RemoteError, RunFinished, Status, StopRequested, TaskFailed
from nflow.core.ids import TaskId
from nflow.view.run import MOST_FAILURES
from tests.view.tale import MAIN, RUN, WHO, A, Tale, failed


def told(tale: Tale) -> str:
    return "".join(part.text for part in summary("scan", RUN, tale.view))


def test_a_good_end_is_one_line(tale: Tale):
    tale.tell(DagFinished(dag=MAIN, status=Status.SUCCEEDED, succeeded=2), RunFinished(status=Status.SUCCEEDED))

    assert told(tale) == "✔ scan succeeded in 3.00 s  (2 succeeded, run 01run)\n"


def test_a_failure_comes_with_its_traceback_before_the_last_line(tale: Tale):
    tale.tell(failed(A), dag=MAIN)
    tale.tell(DagFinished(dag=MAIN, status=Status.FAILED, failed=1, cancelled=1))
    tale.tell(RunFinished(status=Status.FAILED, reason="task 'a' failed: ValueError: no beam\nand more"))

    assert told(tale).splitlines() == [
        "main:1/a failed on edge-1 (worker w):",
        "Traceback ...",
        "ValueError: no beam",
        "✘ scan failed in 4.00 s: task 'a' failed: ValueError: no beam  (1 failed, 1 cancelled, run 01run)",
    ]


def test_a_failure_without_a_traceback_says_what_it_was(tale: Tale):
    error = RemoteError(type="SlotDied", message="It was killed.")
    tale.tell(TaskFailed(task=A, attempt=1, execution=1, error=error, provenance=WHO), dag=MAIN)
    tale.tell(RunFinished(status=Status.FAILED))

    assert "SlotDied: It was killed.\n" in told(tale)


def test_a_failure_tells_its_attempt_what_can_be_done_and_the_end_of_its_output(tale: Tale):
    error = RemoteError(type="SlotDied", message="It was killed.", hint="Give it more memory.")
    event = TaskFailed(task=A, attempt=2, execution=1, error=error, provenance=WHO, output=("one", "two"), exit_code=-9)
    tale.tell(event, dag=MAIN)
    tale.tell(RunFinished(status=Status.FAILED))

    text = "".join(part.text for part in summary("scan", RUN, tale.view, with_output=True))

    assert text.splitlines()[:-1] == [
        "main:1/a failed on edge-1 (attempt 2, worker w):",
        "SlotDied: It was killed.",
        "Give it more memory.",
        "The end of its output:",
        "  one",
        "  two",
    ]
    assert "one" not in told(tale)


def test_of_many_failures_a_few_are_told_and_the_others_counted(tale: Tale):
    tale.tell(*(failed(TaskId(f"t{number}")) for number in range(100)), dag=MAIN)
    tale.tell(RunFinished(status=Status.FAILED))

    assert told(tale).count("Traceback") == MOST_FAILURES
    assert f"... and {100 - MOST_FAILURES} more failed. All of them: nflow show 01run\n" in told(tale)


def test_a_dag_that_was_stopped_is_told_though_its_run_succeeded(tale: Tale):
    tale.tell(StopRequested(reason="stopped by ada", by="ada", dag=MAIN), RunFinished(status=Status.SUCCEEDED))

    assert told(tale) == "✔ scan succeeded in 3.00 s; main:1 was stopped by ada  (no tasks, run 01run)\n"


def test_a_stopped_run_says_why(tale: Tale):
    tale.tell(StopRequested(reason="the beam is down", by="a"))
    tale.tell(RunFinished(status=Status.STOPPED, reason="the beam is down"))

    assert told(tale) == "■ scan stopped in 3.00 s: the beam is down  (no tasks, run 01run)\n"


def test_json_holds_all_of_it(tale: Tale):
    tale.tell(failed(A), dag=MAIN)
    tale.tell(RunFinished(status=Status.FAILED, reason="task 'a' failed"))

    told = json.loads(json.dumps(as_json("scan", RUN, tale.view)))

    assert told["failures"][0].pop("traceback").startswith("Traceback")
    assert told == {
        "run": "01run",
        "workflow": "scan",
        "status": "failed",
        "reason": "task 'a' failed",
        "seconds": 3.0,
        "tasks": {"failed": 1},
        "retrying": 0,
        "stopped_dags": {},
        "failures": [
            {
                "dag": "main:1",
                "task": "a",
                "attempt": 1,
                "execution": 1,
                "worker": "w",
                "host": "edge-1",
                "pid": 1,
                "seconds": 1.0,
                "peak_memory_bytes": 0,
                "exit_code": None,
                "type": "ValueError",
                "message": "no beam",
                "hint": "",
                "output": [],
            },
        ],
    }


def test_json_of_a_run_that_was_left_says_that_it_goes_on(tale: Tale):
    told = as_json("scan", RUN, tale.view)

    assert (told["status"], told["seconds"]) == ("running", None)
