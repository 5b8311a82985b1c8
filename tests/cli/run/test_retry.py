"""`nflow retry`, as a person and as a program see it."""

import json

import pytest

from tests.cli.program import Program


@pytest.fixture
def failed_run(nflow: Program) -> str:
    """A run that has failed."""
    done = nflow("run", "mended", "--json")
    assert done.code == 1
    return json.loads(done.out)["run"]


def state_of(nflow: Program, run: str) -> dict[str, object]:
    [entry] = json.loads(nflow("status", run, "--json").out)
    return entry


def test_a_run_whose_cause_of_failure_is_mended_goes_on_and_succeeds(nflow: Program, failed_run: str):
    (nflow.folder / "cause").touch()

    done = nflow("retry", failed_run)

    assert done.code == 0
    assert done.err == ""
    second, third, summary = done.out.splitlines()
    assert [second, third] == ["second runs, limit 3", "third got 41"]
    assert summary.startswith("✔ mended succeeded in ")
    assert f"(3 succeeded, run {failed_run})" in summary
    assert state_of(nflow, failed_run)["state"] == "succeeded"


def test_a_run_that_fails_again_is_exit_code_1_and_its_last_failure_is_shown(nflow: Program, failed_run: str):
    done = nflow("retry", failed_run, "--json")

    assert done.code == 1
    told = json.loads(done.out)
    assert told["run"] == failed_run
    assert told["status"] == "failed"
    assert told["tasks"] == {"succeeded": 1, "failed": 1, "cancelled": 1}
    assert [failure["type"] for failure in told["failures"]] == ["FileNotFoundError"]


def test_a_parameter_may_be_given_another_value(nflow: Program, failed_run: str):
    (nflow.folder / "other").touch()

    done = nflow("retry", failed_run, "--set", "cause=other", "--set", "limit=7")

    assert done.code == 0
    assert done.out.startswith("second runs, limit 7\n")


def test_without_the_workflow_file_a_value_gets_the_type_that_it_had(nflow: Program, failed_run: str):
    (nflow.folder / "cause").touch()
    (nflow.folder / "mended.py").unlink()

    refused = nflow("retry", failed_run, "--set", "limit=many")
    done = nflow("retry", failed_run, "--set", "limit=8")

    assert refused.code == 2
    assert refused.err == "nflow: Parameter 'limit': Cannot convert 'many' to int.\n"
    assert done.out.startswith("second runs, limit 8\n")


def test_a_task_is_done_again_with_what_follows_it(nflow: Program, failed_run: str):
    (nflow.folder / "cause").touch()

    done = nflow("retry", failed_run, "--from", "first")

    assert done.out.splitlines()[:-1] == ["first runs", "second runs, limit 3", "third got 41"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "limt=3", "--set", "limit=x"], ["No parameter 'limt'. Did you mean 'limit'?", "'x' to int."]),
        (["--set", "nix=3"], ["No parameter 'nix'. There are: cause, limit."]),
        (["--set", "limit"], ["'limit' is no parameter. Write it as KEY=VALUE"]),
        (["--from", "thrid"], ["No task 'thrid' in run", "Did you mean 'third'?"]),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_begun(nflow: Program, failed_run: str, arguments, told):
    done = nflow("retry", failed_run, *arguments)

    assert done.code == 2
    assert done.out == ""
    assert all(words in done.err for words in told)
    assert len(done.err.splitlines()) <= 2
    assert state_of(nflow, failed_run)["state"] == "failed"


def test_a_run_whose_data_are_gone_is_refused(nflow: Program):
    run = json.loads(nflow("run", "two", "--json").out)["run"]

    done = nflow("retry", run)

    assert done.code == 2
    assert done.err == f"nflow: Run {run} (two) cannot go on: its data went when it ended. Start it anew.\n"


def test_a_run_that_succeeded_and_kept_its_data_needs_a_task_to_begin_with(nflow: Program):
    (nflow.folder / "cause").touch()
    run = json.loads(nflow("run", "mended", "--keep-data", "--json").out)["run"]

    refused = nflow("retry", run)
    done = nflow("retry", run, "--from", "third")

    assert refused.code == 2
    assert "succeeded, with every task. To do some again, name the first one: --from TASK" in refused.err
    assert done.code == 0
    assert done.out.splitlines()[:-1] == ["third got 41"]
