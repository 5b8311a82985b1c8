"""`nflow events`: what happened in a run, or in all of them."""

import fcntl
import json
import re
from pathlib import Path

import pytest

from tests.cli.program import Program


@pytest.fixture
def written(nflow: Program, tmp_path: Path) -> Program:
    """The last run has failed once, and then succeeded."""
    assert nflow("run", "writes", f"marker={tmp_path / 'marker'}").code == 0
    return nflow


def run_of(nflow: Program) -> str:
    [entry] = json.loads(nflow("status", "@last", "--json").out)
    return str(entry["run"])


def test_each_event_is_a_line_of_words(written: Program):
    run = run_of(written)

    lines = written("events", "@last").out.splitlines()

    assert all(re.match(rf"\d\d:\d\d:\d\d\.\d{{3}} {run} writes ", line) for line in lines)
    assert [line.partition(" writes ")[2] for line in lines] == [
        "started",
        "main:1 started",
        "main:1/first started",
        "main:1/first succeeded",
        "main:1/second started",
        "main:1/second failed: ValueError: no beam",
        "main:1/second (2) started",
        "main:1/second (2) succeeded",
        "main:1 succeeded",
        "succeeded",
    ]


def test_details_say_who_where_and_how_long(written: Program):
    out = written("events", "@last", "--details").out

    assert re.search(r"main:1/second failed by \S+: ValueError: no beam  \[on \S+, pid \d+, took 0\.\d+ s", out)
    assert "main:1 succeeded  [2 succeeded]" in out
    assert " writes driven by " in out


def test_programs_get_an_object_a_line(written: Program):
    events = [json.loads(line) for line in written("events", "@last", "--json").out.splitlines()]

    [failed] = [event for event in events if event["what"] == "failed"]
    assert (failed["kind"], failed["dag"], failed["task"], failed["attempt"]) == ("task", "main:1", "second", 1)
    assert (failed["workflow"], failed["why"]) == ("writes", "ValueError: no beam")


def test_all_runs_are_told_of_and_those_since_a_moment(written: Program):
    runs = {line.split()[1] for line in written("events").out.splitlines()}

    assert run_of(written) in runs
    assert written("events", "--since", "0s").out == ""


def test_events_are_followed_until_ctrl_c(nflow: Program, tmp_path: Path):
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        run = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")
        events = nflow.start("events", "@last", "-f", "--since", "1h").until_says("held main:1/first started")
    run.done()

    done = events.until_says("held succeeded").press_ctrl_c().done()

    assert done.code == 130
    assert done.out.splitlines()[-1].endswith("held succeeded")
    assert done.err == ""


def test_without_a_moment_to_begin_at_only_what_comes_is_followed(written: Program):
    earlier = run_of(written)
    events = written.start("events", "-f")

    for _ in range(20):  # it does not say when it has begun to look
        written("run", "two")
        if "two succeeded" in events.said:
            break

    done = events.until_says("two succeeded").press_ctrl_c().done()
    assert done.code == 130
    assert earlier not in done.out


def test_an_unknown_run_is_said(nflow: Program):
    done = nflow("events", "nothing")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("nflow: No run begins with 'nothing'.")


@pytest.mark.parametrize(
    ("flags", "told"),
    [((), "nflow: No events yet.\n"), (("--since", "1s"), "nflow: No events since then.\n"), (("--json",), "")],
)
def test_that_nothing_has_happened_is_told_beside_the_output(nflow: Program, flags: tuple[str, ...], told: str):
    done = nflow("events", *flags, NFLOW_SERVER_NAMESPACE="empty")

    assert (done.code, done.out, done.err) == (0, "", told)
