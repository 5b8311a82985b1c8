"""Listings on terminals of any width."""

import pytest

from nflow.cli.console.table import fitting, print_table

HEADERS = ("run", "state", "reason")
ROWS = [
    ("01m7xh4zec84dps2", "failed", "task 'reduce' failed: ValueError: no beam"),
    ("01m7xh4zec84dps3", "running", ""),
]


def test_a_listing_that_fits_is_shown_as_it_is():
    assert fitting(HEADERS, ROWS, 80) == [
        ["run               state    reason"],
        ["01m7xh4zec84dps2  failed   task 'reduce' failed: ValueError: no beam"],
        ["01m7xh4zec84dps3  running"],
    ]


def test_the_last_column_gives_way_first():
    assert fitting(HEADERS, ROWS, 60)[1] == ["01m7xh4zec84dps2  failed   task 'reduce' failed: ValueError…"]


def test_where_it_would_tell_nothing_the_last_column_goes_below_its_row():
    assert fitting(HEADERS, ROWS, 40) == [
        ["run               state"],
        ["01m7xh4zec84dps2  failed", "  task 'reduce' failed: ValueError: no…"],
        ["01m7xh4zec84dps3  running"],
    ]


def test_all_other_columns_stay_whole_however_narrow_it_is():
    assert [lines[0] for lines in fitting(HEADERS, ROWS, 20)[1:]] == [
        "01m7xh4zec84dps2  failed",
        "01m7xh4zec84dps3  running",
    ]


def test_wide_characters_take_two_columns():
    assert fitting(("name", "state", "note"), [("光束", "ok", "光束光束"), ("beam", "ok", "")], 18) == [
        ["name  state"],
        ["光束  ok", "  光束光束"],
        ["beam  ok"],
    ]


def test_no_text_of_a_task_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]):
    print_table(("run", "reason"), [("01m7xh4zec84dps2", "\x1b[2Jgone")])

    assert capsys.readouterr().out == "run               reason\n01m7xh4zec84dps2  \\x1b[2Jgone\n"
