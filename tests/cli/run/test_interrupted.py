"""Ctrl-C: once stops a run, twice leaves it; what was left goes on with the next command."""

import fcntl
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Program


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A server for each test: what one leaves is not for another."""
    with attach(load({"home": tmp_path / "home"})):
        yield tmp_path / "home"


@pytest.fixture
def gate(nflow_folder: Path) -> Iterator[IO[str]]:
    """A file that holds up all tasks of `held` until it is closed."""
    with (nflow_folder / "gate").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def state(nflow: Program) -> str:
    [entry] = [entry for entry in json.loads(nflow("status", "--json").out) if entry["workflow"] == "held"]
    return str(entry["state"])


def test_ctrl_c_stops_the_run(nflow: Program, gate: IO[str]):
    running = nflow.start("run", "held", f"gate={gate.name}", NFLOW_WORKER_GRACE="0.1")
    running.until_says("first begins")

    done = running.press_ctrl_c().done()

    assert done.code == 130
    assert "Stopping held; press Ctrl-C again to leave it as it is." in done.err
    assert "■ held stopped in" in done.out
    assert "second begins" not in done.out
    assert state(nflow) == "stopped"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_command_leaves_its_run_as_it_is(nflow: Program, gate: IO[str], kind: signal.Signals):
    running = nflow.start("run", "held", f"gate={gate.name}")
    running.until_says("first begins")

    done = running.send(kind).done()

    assert done.code == 130
    assert done.err.startswith("Left held (")
    assert state(nflow) == "running"


def test_a_second_ctrl_c_leaves_the_run(nflow: Program, gate: IO[str]):
    running = nflow.start("run", "held", f"gate={gate.name}")
    running.until_says("first begins")

    running.press_ctrl_c().until_says("Stopping held")
    done = running.press_ctrl_c().done()

    assert done.code == 130
    assert "Left held (" in done.err
    assert "as it is. To go on: nflow worker" in done.err
    assert "Traceback" not in done.err


def test_with_json_a_run_that_is_left_is_told_as_running(nflow: Program, gate: IO[str]):
    running = nflow.start("run", "held", f"gate={gate.name}", "--json")
    running.until_says("first begins")

    done = running.send(signal.SIGTERM).done()

    assert json.loads(done.out)["status"] == "running"


def test_ctrl_c_while_nothing_was_submitted_ends_the_command(nflow: Program):
    (nflow.folder / "slow.py").write_text("import os\nprint('reading', flush=True)\nos.read(os.pipe()[0], 1)\n")
    running = nflow.start("run", "slow").until_says("reading")

    done = running.press_ctrl_c().done()

    assert done.code == 130
    assert "Traceback" not in done.err
    assert json.loads(nflow("status", "--json").out) == []


def test_what_a_killed_command_left_is_announced_and_goes_on_with_the_next(nflow: Program, gate: IO[str]):
    running = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")
    running.send(signal.SIGKILL).done()

    worker = nflow.start("run", "held", f"gate={gate.name}").until_says("left from before, now going on here: held (")
    worker.until_says("first begins")
    gate.close()

    done = worker.done()
    assert done.code == 0
    assert done.out.count("first begins") == 1, "the output of another run is not shown"


def test_a_waiting_command_leaves_its_run_to_the_worker(nflow: Program, gate: IO[str]):
    worker = nflow.start("worker").until_says(" serves ")
    waiting = nflow.start("start", "held", f"gate={gate.name}", "--wait")
    waiting.until_says("\n")

    done = waiting.press_ctrl_c().done()

    assert done.code == 130
    assert state(nflow) in ("waiting", "running")
    gate.close()
    worker.send(signal.SIGTERM).done()


def test_a_command_lets_tasks_of_others_end_before_it_goes(nflow: Program, gate: IO[str]):
    nflow("start", "held", f"gate={gate.name}")
    running = nflow.start("run", "two", "--slots", "2")
    running.until_says("two succeeded").until_says("Tasks of other runs may end here within 10 s")

    gate.close()

    done = running.done()
    assert done.code == 0
    assert "Still to end: held (" in done.err


def test_ctrl_c_hands_tasks_of_others_back_at_once(nflow: Program, gate: IO[str]):
    nflow("start", "held", f"gate={gate.name}")
    running = nflow.start("run", "two", "--slots", "2").until_says("Tasks of other runs may end here")

    done = running.press_ctrl_c().done()

    assert done.code == 0, "its own run had succeeded"
    assert state(nflow) == "running"


def test_a_stopped_run_that_is_retried_can_be_stopped_and_retried_again(nflow: Program, gate: IO[str]):
    for command in (["run", "held", f"gate={gate.name}"], ["retry", "@last"]):
        running = nflow.start(*command, NFLOW_WORKER_GRACE="0.1").until_says("first begins")
        assert running.press_ctrl_c().done().code == 130
        assert state(nflow) == "stopped"
    gate.close()

    done = nflow("retry", "@last")

    assert done.code == 0
    assert [line for line in done.out.splitlines() if "second" in line] == ["second begins", "second ends"]
    assert state(nflow) == "succeeded"


def test_a_retry_that_is_left_to_workers_goes_on_with_the_next_command(nflow: Program, nflow_folder: Path):
    run = json.loads(nflow("run", "mended", "--json").out)["run"]
    (nflow_folder / "cause").touch()

    done = nflow("retry", run, "--no-follow")

    assert done.code == 0
    assert done.out == f"mended ({run}) goes on.\n"
    assert "No worker is there yet" in done.err
    again = nflow("retry", run)
    assert again.code == 2
    assert "was retried a moment ago" in again.err
    assert f"1 run left from before, now going on here: mended ({run})." in nflow("run", "two").err


@pytest.mark.parametrize("dag", ["main:1", "main"])
def test_a_dag_is_stopped_by_its_running_name_and_by_the_name_of_its_definition(
    nflow: Program, gate: IO[str], dag: str
):
    running = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")

    stopped = nflow("stop", "@last", "--dag", dag, "--now")

    assert stopped.code == 0
    assert stopped.out.startswith(f"Asked {dag} (")
    done = running.done()
    assert "second begins" not in done.out
    assert "2 cancelled" in done.out


def test_ctrl_c_where_no_worker_is_says_that_the_stop_is_kept(nflow: Program):
    running = nflow.start("run", "two", "--no-work").until_says("Start it: nflow worker")

    running.press_ctrl_c().until_says("No worker drives two now. The stop is kept for the one that takes it")
    done = running.press_ctrl_c().done()

    assert done.code == 130
    assert "It was asked to stop. To see how far it is: nflow status " in done.err
    assert "Traceback" not in done.err
    [entry] = json.loads(nflow("status", "@last", "--json").out)
    assert (entry["state"], entry["reason"].partition(";")[0]) == ("stopping", "stop asked for")
