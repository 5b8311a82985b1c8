"""What is listed, for people and for programs; starting, stopping, and how runs are called."""

import getpass
import json
import signal
from collections.abc import Iterator

import pytest

from nflow.cli.status import _told
from nflow.core.events import DagStarted, StopRequested
from nflow.core.ids import DagId, RunId
from nflow.core.retry import RetrySpec
from nflow.engine.runs import RunEntry
from nflow.view.run import RunView
from tests.cli.program import Program, Running
from tests.view.tale import MAIN, A, Tale, failed, started


@pytest.fixture
def worker(nflow: Program) -> Iterator[Running]:
    """A worker that takes work."""
    worker = nflow.start("worker", "--name", "edge", "--slots", "1").until_says(" serves ")
    yield worker
    worker.send(signal.SIGTERM).done()


def test_start_prints_the_id_alone_and_says_on_stderr_that_a_worker_is_missing(nflow: Program):
    done = nflow("start", "two")

    assert done.code == 0
    [run] = done.out.splitlines()
    assert len(run) == 16
    assert done.err == "No worker is there yet, and the run waits for one. Start it: nflow worker\n"
    [entry] = json.loads(nflow("status", run, "--json").out)
    assert (entry["run"], entry["workflow"], entry["state"]) == (run, "two", "waiting")


def test_start_waits_for_the_end_where_it_is_told_to(nflow: Program, worker: Running):
    good, bad = nflow("start", "two", "--wait"), nflow("start", "fails", "--wait")

    assert (good.code, bad.code) == (0, 1)
    assert len(good.out) == len(bad.out) == len("01m7xh4zec84dps2\n")
    assert good.err.startswith("✔ two succeeded in")
    assert "divide(by=0)" in bad.err


def test_start_names_the_queues_that_nobody_serves(nflow: Program, worker: Running):
    done = nflow("start", "elsewhere")

    assert done.err == "No worker serves edge,gpu yet, and the run waits for one. Start it: nflow worker -q edge,gpu\n"
    assert nflow("stop", done.out.strip()).code == 0


def test_workers_are_listed(nflow: Program, worker: Running):
    [entry] = json.loads(nflow("workers", "--json").out)
    table = nflow("workers").out.splitlines()

    assert entry["worker"].startswith("edge-")
    assert (entry["slots"], entry["queues"]) == (1, ["workflow", "dag", "task"])
    assert table[0].split() == ["worker", "host", "slots", "tasks", "drives", "python", "nflow", "up", "queues"]
    assert entry["worker"] in table[1]


def test_without_a_worker_the_listing_says_how_to_start_one(nflow: Program):
    assert nflow("workers").out == "No worker is running. Start one: nflow worker\n"
    assert nflow("workers", "--json").out == "[]\n"


def test_runs_are_listed_with_their_whole_ids_however_narrow_a_pipe_is(nflow: Program):
    nflow("run", "fails")

    listed = nflow("status", COLUMNS="20").out.splitlines()
    [last] = json.loads(nflow("status", "@last", "--json").out)

    assert listed[0].split() == ["run", "workflow", "state", "started", "took", "reason"]
    assert listed[-1].split()[:3] == [last["run"], "fails", "failed"]
    assert listed[-1].endswith("task 'first' failed: ZeroDivisionError: division by zero")


def test_the_status_of_one_run_tells_a_program_of_its_failures_as_the_run_did(nflow: Program):
    told = json.loads(nflow("run", "fails", "--json").out)

    [entry] = json.loads(nflow("status", told["run"], "--json").out)

    assert (entry["run"], entry["state"], entry["reason"]) == (told["run"], "failed", told["reason"])
    assert entry["queue"] == "workflow"
    assert [failure["type"] for failure in entry["failures"]] == ["ZeroDivisionError"]
    assert {part: entry[part] for part in ("seconds", "tasks", "failures")} == {
        part: told[part] for part in ("seconds", "tasks", "failures")
    }


def test_a_run_is_found_by_a_beginning_of_its_id(nflow: Program):
    [entry] = json.loads(nflow("status", nflow("start", "two").out.strip()[:-1], "--json").out)

    assert entry["workflow"] == "two"


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("status zz", "No run begins with 'zz'."),
        ("stop zz", "`nflow runs` lists the runs"),
        ("stop 0", "Give more of the id."),
        ("stop @last --dag nothing:1", "No dag run 'nothing:1' moves in"),
    ],
)
def test_a_run_that_is_not_meant_is_not_touched(nflow: Program, command: str, advice: str):
    nflow("start", "two")
    nflow("start", "two")

    done = nflow(*command.split())

    assert done.code == 2
    assert advice in done.err
    assert done.out == ""


@pytest.mark.parametrize("command", ["status", "logs", "events", "show", "stop", "retry"])
def test_before_the_first_run_the_last_one_is_not_there(nflow: Program, command: str):
    done = nflow(command, "@last", NFLOW_SERVER_NAMESPACE="empty")

    assert (done.code, done.err) == (2, "nflow: There is no run yet. Start one: nflow run sequence\n")


def test_a_run_that_has_ended_cannot_be_stopped(nflow: Program):
    nflow("run", "two")

    done = nflow("stop", "@last")

    assert done.code == 2
    assert done.err.endswith("(two) has succeeded already.\n")


def test_a_waiting_run_is_stopped_once_somebody_takes_it(nflow: Program):
    run = nflow("start", "elsewhere", "-q", "nobody").out.strip()

    assert nflow("stop", run).out == f"Asked elsewhere ({run}) to stop.\n"
    [entry] = json.loads(nflow("status", run, "--json").out)
    [listed] = [entry for entry in json.loads(nflow("status", "--json").out) if entry["run"] == run]
    assert listed["reason"] == entry["reason"]
    assert entry["reason"] == "stop asked for; waits for a worker on queue 'nobody'"
    nflow("run", "two", "-q", "nobody")

    assert f"stopped by {getpass.getuser()}" in nflow("status", "--all").out


def test_a_program_that_stops_a_run_is_told_what_was_asked_for(nflow: Program):
    run = nflow("start", "elsewhere", "-q", "nobody").out.strip()

    told = json.loads(nflow("stop", run, "--now", "--json").out)

    assert told == {"run": run, "workflow": "elsewhere", "dag": None, "grace": 0.0, "by": getpass.getuser()}


def test_the_status_of_a_run_tells_what_keeps_it_from_going_on():
    entry = RunEntry(run=RunId("r"), workflow="scan", state="running", queue="workflow", submitted=0.0)
    tale = Tale()
    tale.view = RunView({"main": 2}, {("main", A): RetrySpec(attempts=2, pause=60.0)})

    tale.tell(DagStarted(key="k", dag=MAIN)).tell(started(A), failed(A), dag=MAIN)
    tale.tell(StopRequested(reason="stopped by ada", by="ada", dag=DagId("sub:1")))

    assert _told(entry, tale.view).reason == "retrying 1 task; sub:1 was stopped by ada"


def test_a_listing_whose_reader_leaves_ends_quietly(nflow: Program):
    process = nflow.pipe("status", "--all")
    assert process.stdout

    process.stdout.close()

    assert process.wait(30) == 0


def test_the_examples_are_listed_and_copied_but_what_was_changed_is_kept(nflow: Program):
    listed = json.loads(nflow("examples", "list", "--json").out)
    names = [entry["name"] for entry in listed]
    assert {"sequence", "phase_id"} <= set(names)
    assert nflow("examples", "list").out.splitlines()[1].startswith(names[0])

    assert [nflow("examples", "copy", ".").code for _ in range(2)] == [0, 0]
    mine = nflow.folder / "examples" / "sequence.py"
    mine.write_text("# mine\n")
    refused = nflow("examples", "copy", ".")

    assert refused.code == 2
    assert "has its own sequence.py. Add --force to overwrite" in refused.err
    assert mine.read_text() == "# mine\n"
    assert nflow("examples", "copy", ".", "--force").code == 0
    assert mine.read_text() != "# mine\n"


def test_the_version_is_told(nflow: Program):
    assert nflow("--version").out.startswith("nflow 0.")


def test_the_server_runs_in_the_foreground_until_ctrl_c(nflow: Program):
    server = nflow.start("server").until_says("nflow's server is ready at nats://127.0.0.1:")

    assert server.press_ctrl_c().done().code == 0
