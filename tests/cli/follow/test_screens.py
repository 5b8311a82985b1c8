"""Where a run is shown: plain in pipes and files, lively on terminals."""

import io
import time

import pytest
from rich.cells import cell_len
from rich.console import Console

from nflow.cli.console.streams import abandon
from nflow.cli.follow.lively import Lively, fitting
from nflow.cli.follow.plain import Plain
from nflow.cli.follow.summary import Part
from nflow.core.ids import DagId, TaskId
from nflow.view.run import DagFrame, Frame
from nflow.wire.lines import Line
from tests.cli.program import without_escapes

PARTS = [Part("✔ scan succeeded", "bold green"), Part(" in 0.10 s\n")]


class Terminal(io.StringIO):
    """What was sent to a terminal."""

    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return without_escapes(self.getvalue())


def line(text: str, stream: str = "out", level: str = "") -> Line:
    return Line(at=0.0, stream=stream, text=text, level=level, logger="mine" if level else "")


def frame(*dags: DagFrame, more_dags: int = 0, remark: str | None = None) -> Frame:
    running = sum(len(dag.running) for dag in dags)
    return Frame(done=2, total=7, running=running, dags=dags, more_dags=more_dags, remark=remark)


def flying(name: str, *running: str) -> DagFrame:
    return DagFrame(dag=DagId(name), done=2, total=7, running=tuple(map(TaskId, running)))


def lively(terminal: Terminal, *, columns: int = 80, name: str = "scan", height: int = 24) -> Lively:
    console = Console(
        file=terminal, force_terminal=True, width=columns, height=height, highlight=False, _environ={"TERM": "xterm"}
    )
    return Lively(name, console, terminal, terminal)


# --- plain ---


def test_plain_output_goes_where_the_task_sent_it():
    out, err = io.StringIO(), io.StringIO()

    Plain(out, err).lines([line("one"), line("two", "err"), line("three"), line("four", "log", "WARNING")])

    assert out.getvalue() == "one\nthree\n"
    assert err.getvalue() == "two\nWARNING mine: four\n"


def test_plain_output_keeps_its_order_where_both_go_to_one_place():
    both = io.StringIO()

    Plain(both, both).lines([line("one"), line("two", "err"), line("three")])

    assert both.getvalue() == "one\ntwo\nthree\n"


def test_plain_notes_go_to_stderr_and_the_summary_to_stdout_without_colours():
    out, err = io.StringIO(), io.StringIO()
    screen = Plain(out, err)

    screen.note("a remark")
    screen.summary(PARTS)

    assert err.getvalue() == "a remark\n"
    assert out.getvalue() == "✔ scan succeeded in 0.10 s\n"


def test_output_whose_reader_has_left_vanishes(tmp_path):
    with (tmp_path / "file").open("w") as stream:
        abandon(stream)
        stream.write("nobody reads this")

    assert (tmp_path / "file").read_text() == ""


# --- lively ---


@pytest.mark.parametrize(
    "text",
    ["plain", "x" * 5000, "ünïcødé 日本語 😀", "[bold]no markup[/bold] :smile:", "a\ttab", "", "  spaces  "],
)
def test_a_terminal_gets_lines_as_they_are(text: str):
    terminal = Terminal()

    lively(terminal).lines([line(text)])

    assert terminal.getvalue() == f"{text}\n"


def test_a_terminal_gets_the_colours_of_tasks_and_none_of_their_movements():
    terminal = Terminal()

    lively(terminal).lines([line("\x1b[31mred\x1b[0m \x1b[5Aup"), line("10%\r20%\r30%")])

    assert terminal.getvalue() == "\x1b[31mred\x1b[0m up\n30%\n"


def test_what_tasks_write_scrolls_above_what_moves():
    terminal = Terminal()
    screen = lively(terminal)

    with screen.showing():
        screen.draw(frame(flying("main:1", "measure")))
        screen.lines([line("from a task"), line("a warning", "log", "WARNING")])
        screen.note("a remark")
        below = terminal.text.rpartition("a remark")[2]
    screen.summary(PARTS)

    assert "from a task\nWARNING mine: a warning\n" in terminal.text
    assert "2/7 tasks" in below
    assert terminal.text.endswith("✔ scan succeeded in 0.10 s\n")


def test_a_frame_tells_what_is_in_flight():
    terminal = Terminal()
    screen = lively(terminal)

    with screen.showing():
        screen.draw(frame(flying("main:1", "measure", "reduce"), flying("sub:1"), more_dags=3))
        first, *dags = [row.rstrip() for row in terminal.text.splitlines()]

    assert first.startswith("scan ━")
    assert "2/7 tasks, 2 running, 0.0 s" in first
    assert dags == ["  main:1  2/7  measure, reduce", "  sub:1  2/7  ...", "  ... and 3 more dag runs"]


def test_a_frame_says_that_the_run_is_stopping():
    terminal = Terminal()
    screen = lively(terminal, columns=120)

    with screen.showing():
        screen.draw(frame(flying("main:1", "measure"), remark="stopped by Ctrl-C"))

    assert "stopped by Ctrl-C" in terminal.text.splitlines()[0]


@pytest.mark.parametrize("columns", [10, 20, 40, 60, 80, 300])
@pytest.mark.parametrize("name", ["scan", "a_workflow_of_a_rather_long_name", "日本語" * 20])
def test_no_frame_is_wider_than_its_terminal(columns: int, name: str):
    terminal = Terminal()
    screen = lively(terminal, columns=columns, name=name)

    with screen.showing():
        screen.draw(frame(flying(name, *(f"task_{number}" for number in range(500))), more_dags=3, remark="why" * 50))
        rows = terminal.text.splitlines()

    assert max(map(cell_len, rows)) <= columns


def test_a_flat_terminal_gets_one_line():
    terminal = Terminal()
    screen = lively(terminal, height=4)

    with screen.showing():
        screen.draw(frame(flying("main:1", "a"), flying("main:2", "b")))
        assert len(terminal.text.splitlines()) == 1


def test_a_frame_is_gone_when_the_run_has_ended():
    terminal = Terminal()
    screen = lively(terminal)

    with screen.showing():
        screen.draw(frame(flying("main:1", "measure")))

    assert terminal.getvalue().endswith("\x1b[1A\x1b[2K")


def test_of_stdout_and_stderr_that_which_is_no_terminal_gets_plain_lines():
    terminal, file = Terminal(), io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    screen = Lively("scan", console, file, terminal)

    screen.lines([line("to the file"), line("to the terminal", "err")])
    screen.note("a remark")
    screen.summary(PARTS)

    assert file.getvalue() == "to the file\n✔ scan succeeded in 0.10 s\n"
    assert terminal.text == "to the terminal\na remark\n"


def test_a_hundred_thousand_lines_pass_in_a_few_seconds():
    terminal = Terminal()
    screen = lively(terminal)
    lines = [line(f"line {number}") for number in range(1000)]

    began = time.process_time()
    with screen.showing():
        screen.draw(frame(flying("main:1", "measure")))
        for _ in range(100):
            screen.lines(lines)

    assert time.process_time() - began < 5.0


@pytest.mark.parametrize(
    ("text", "columns", "fits"),
    [
        ("short", 10, "short"),
        ("exactly", 7, "exactly"),
        ("too long", 5, "too …"),
        ("日本語", 5, "日本…"),
        ("x", 0, "…"),
    ],
)
def test_what_does_not_fit_is_cut(text: str, columns: int, fits: str):
    assert fitting(text, columns) == fits
