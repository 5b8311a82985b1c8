"""`nflow logs`: what the tasks of a run wrote, for people, files and programs."""

import fcntl
import json
import re
from pathlib import Path

import pytest

from tests.cli.program import Program, without_escapes


@pytest.fixture
def written(nflow: Program, tmp_path: Path) -> Program:
    """The last run has written all kinds of things."""
    assert nflow("run", "writes", f"marker={tmp_path / 'marker'}").code == 0
    return nflow


def test_every_byte_that_a_task_prints_can_be_had_back(written: Program):
    with written.pipe("logs", "@last", "first", "--raw") as process:
        out, _ = process.communicate(timeout=30)

    out = out.replace(b"\x1b[31mto stderr\x1b[0m\n", b"")
    assert out == bytes(range(256)) + b"\r\n10 %\r20 %\r30 %\nhalf a line"


def test_each_line_says_when_and_where_it_was_written_and_how(written: Program):
    done = written("logs", "@last", "first")

    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3} main:1/first (out|err|INFO|WARNING|ERROR) ", line) for line in lines)
    said = [line.split(maxsplit=3)[-1] for line in lines]
    assert {"30 %", "half a line", "to stderr", "mine: as expected", "mine: a warning", "of two lines"} <= set(said)


def test_nothing_that_a_terminal_would_obey_is_shown(written: Program):
    out = written("logs", "@last").out

    assert out.replace("\n", "").replace("\t", "").isprintable()
    assert "\\x00\\x01" in out
    assert "\\xff" in out


def test_on_a_terminal_there_are_colours_but_none_of_the_task(written: Program):
    said = written.on_terminal("logs", "@last", "first").done().out

    assert "\x1b[33m" in said
    assert "\x1b[31mto stderr" not in said
    assert "to stderr" in without_escapes(said)


def test_a_level_shows_what_was_logged_from_there_on(written: Program):
    out = written("logs", "@last", "--level", "warning").out

    assert [line.split(maxsplit=3)[2:] for line in out.splitlines()] == [
        ["WARNING", "mine: a warning"],
        ["WARNING", "of two lines"],
        ["ERROR", "mine: an error"],
    ]


def test_attempts_are_told_apart(written: Program):
    both = written("logs", "@last", "second").out
    only = written("logs", "@last", "second", "--attempt", "2").out

    assert ["stumbling" in both, "walking" in both] == [True, True]
    assert "main:1/second (2) out     walking" in only
    assert "stumbling" not in only


@pytest.mark.parametrize("task", ["first", "main:1/first", "main/first"])
def test_a_task_can_be_named_with_its_dag_and_without(written: Program, task: str):
    assert "half a line" in written("logs", "@last", task).out


def test_a_dag_run_is_named_with_a_slash_behind_it(written: Program):
    out = written("logs", "@last", "main:1/").out

    assert ["main:1/first" in out, "main:1/second" in out] == [True, True]


def test_programs_get_an_object_a_line(written: Program):
    lines = [json.loads(line) for line in written("logs", "@last", "first", "--json").out.splitlines()]

    [error] = [line for line in lines if line["level"] == "ERROR"]
    assert (error["dag"], error["task"], error["attempt"], error["stream"]) == ("main:1", "first", 1, "log")
    assert (error["logger"], error["text"]) == ("mine", "an error")
    printed = "".join(line["text"] + line["end"] for line in lines if line["stream"] == "out")
    assert printed.encode("utf-8", "surrogateescape").startswith(bytes(range(256)))


def test_since_leaves_out_what_came_before(written: Program):
    everything, nothing = written("logs", "@last", "--since", "1h"), written("logs", "@last", "--since", "0s")

    assert "half a line" in everything.out
    assert (nothing.code, nothing.out) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("@last", "frist"), "No task 'frist' in this run. Did you mean 'first'?"),
        (("@last", "other:1/first"), "No dag 'other:1' in this run. There are: main."),
        (("@last", "main:1"), "'main:1' is a dag. For what all of its tasks wrote: 'main:1/'."),
        (("@last", "--level", "loud"), "'loud' is no level. There are: DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        (("@last", "--since", "noon"), "'noon' is no time."),
        (("@last", "--raw", "--json"), "--raw shows what was printed and nothing else."),
        (("nothing",), "No run begins with 'nothing'."),
    ],
)
def test_what_is_not_there_is_said(written: Program, arguments: tuple[str, ...], words: str):
    done = written("logs", *arguments)

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"nflow: {words}")


def test_lines_are_followed_until_the_run_has_ended(nflow: Program, tmp_path: Path):
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        run = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")
        logs = nflow.start("logs", "@last", "-f").until_says("first begins")
    run.done()

    done = logs.done()
    assert done.code == 0
    assert [line.split()[-2:] for line in done.out.splitlines()] == [
        ["first", "begins"],
        ["first", "ends"],
        ["second", "begins"],
        ["second", "ends"],
    ]


def test_ctrl_c_ends_the_following_and_not_the_run(nflow: Program, tmp_path: Path):
    with (tmp_path / "gate").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        run = nflow.start("run", "held", f"gate={gate.name}").until_says("first begins")
        logs = nflow.start("logs", "@last", "-f").until_says("first begins")

        assert logs.press_ctrl_c().done().code == 130
    assert run.done().code == 0


def test_a_reader_that_has_seen_enough_may_leave(written: Program):
    with written.pipe("logs", "@last") as process:
        assert process.stdout is not None
        assert process.stdout.read(5)
        process.stdout.close()

        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("flags", "told"),
    [((), "has written anything yet."), (("--level", "error"), "has lines of that kind."), (("--json",), None)],
)
def test_that_there_is_nothing_is_told_beside_the_output(nflow: Program, flags: tuple[str, ...], told: str | None):
    run = json.loads(nflow("run", "fails", "--json").out)["run"]

    done = nflow("logs", run, *flags)

    assert (done.code, done.out) == (0, "")
    assert done.err == ("" if told is None else f"nflow: No task of run {run} (fails) {told}\n")
