"""What is kept of the logs: of one attempt, and of all runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Program


@pytest.fixture
def alone(nflow_folder: Path, tmp_path: Path) -> Iterator[Program]:
    """The program with a server of its own, whose limits nobody else minds."""
    home = tmp_path / "home"
    with attach(load({"home": home})):
        program = Program(nflow_folder, home)
        yield program
        program.close()


def test_of_a_task_that_prints_too_much_the_beginning_and_the_end_are_kept(nflow: Program):
    done = nflow("run", "speaks", "lines=100000", NFLOW_LOGS_PER_TASK="64KiB")

    lines = done.out.splitlines()
    assert done.code == 0
    assert "line 0" in lines
    assert "line 99999" in lines
    assert "line 50000" not in lines
    assert " are left out here" in done.err
    assert "WARNING nflow: it has written 60 KiB: of the rest no more than the last 4 KiB are kept" in done.err


def test_a_limit_that_the_server_does_not_have_is_told_and_applied_when_asked(alone: Program):
    alone("status")

    differs = alone("status", NFLOW_LOGS_MAX_SIZE="4MiB")
    applied = alone("server", "apply", "--yes", NFLOW_LOGS_MAX_SIZE="4MiB")
    agrees = alone("status", NFLOW_LOGS_MAX_SIZE="4MiB")

    assert "has max_bytes = 536870912 where 4194304 is expected" in differs.err
    assert "nflow server apply" in differs.err
    assert applied.out == "nflow_logs: max_bytes is 4194304 now; it was 536870912.\n"
    assert (agrees.code, agrees.err) == (0, "")
    assert alone("server", "apply", "--yes", NFLOW_LOGS_MAX_SIZE="4MiB").out == "The server has these limits already.\n"


def test_a_limit_that_nobody_has_set_here_may_be_any(alone: Program):
    alone("server", "apply", "--yes", NFLOW_LOGS_MAX_AGE="never")

    assert alone("status").err == ""


def test_there_must_be_something_to_apply(alone: Program):
    done = alone("server", "apply", "--yes")

    assert done.code == 2
    assert done.err == "nflow: Neither logs.max_size nor logs.max_age is set: there is nothing to apply.\n"


def test_a_person_is_asked_before_lines_may_go(alone: Program):
    done = alone("server", "apply", NFLOW_LOGS_MAX_SIZE="4MiB")

    assert done.code == 2
    assert "Nobody can be asked here: add --yes." in done.err
