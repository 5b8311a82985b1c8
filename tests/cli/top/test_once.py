"""`nflow top --once`: what the monitor shows, printed for scripts and logs."""

import json

from tests.cli.program import Program


def test_it_prints_runs_queues_and_workers(nflow: Program):
    run = nflow("run", "two", "--json")
    assert run.code == 0, run.err

    done = nflow("top", "--once")

    assert done.code == 0, done.err
    assert json.loads(run.out)["run"] in done.out
    assert "✔ succeeded" in done.out
    assert "No worker is there. Start one: nflow worker" in done.out


def test_for_programs_it_prints_json(nflow: Program):
    run = json.loads(nflow("run", "two", "--json").out)["run"]

    told = json.loads(nflow("top", "--json").out)

    [entry] = [entry for entry in told["runs"] if entry["run"] == run]
    assert (entry["state"], entry["tasks"]["done"], entry["tasks"]["failed"]) == (
        "succeeded",
        entry["tasks"]["total"],
        0,
    )
    assert told["workers"] == []


def test_a_run_that_waits_says_for_whom(nflow: Program):
    run = nflow("start", "two", "-q", "nobodys").out.strip()

    told = json.loads(nflow("top", "--json").out)
    nflow("stop", run)

    [entry] = [entry for entry in told["runs"] if entry["run"] == run]
    assert entry["remark"] == "waits for a worker on queue 'nobodys'"
    [queue] = [queue for queue in told["queues"] if queue["queue"] == "nobodys"]
    assert (queue["waiting"], queue["lack"]["queue"]) == (1, "nobodys")


def test_where_letters_are_all_that_can_be_shown_it_uses_letters(nflow: Program):
    nflow("run", "two")

    done = nflow("top", "--once", PYTHONIOENCODING="ascii")

    assert done.out.isascii()
    assert "+ succeeded" in done.out


def test_in_a_pipe_it_says_how_to_use_it_there(nflow: Program):
    done = nflow("top")

    assert done.code == 2
    assert "For files and pipes: nflow top --once" in done.err


def test_without_a_server_it_says_so(nflow: Program):
    done = nflow("top", "--once", "--server", "nats://127.0.0.1:9")

    assert done.code == 3
    assert "127.0.0.1:9" in done.err


def test_help_has_an_example(nflow: Program):
    assert "Example:  nflow top" in nflow("top", "--help").out
