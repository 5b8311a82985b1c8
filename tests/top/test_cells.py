"""Cells, columns and lines."""

import pytest
from rich.cells import cell_len

from nflow.top.cells import (
    ASCII,
    Cell,
    Column,
    Glyphs,
    bar,
    clean,
    fitting_columns,
    laid_out,
    sized,
    sparkline,
    wrapped,
)
from nflow.top.times import lasted, size


def column(width: int, **more: object) -> Column[str]:
    return Column(title="T", width=width, cell=Cell, **more)


def test_columns_that_have_no_room_are_left_out_and_those_that_grow_take_the_rest():
    columns = [column(4), column(5, grows=1), column(6, grows=2), column(3, from_width=50)]

    assert [width for _, width in fitting_columns(columns, 40)] == [4, 12, 22]
    assert [width for _, width in fitting_columns(columns, 50)] == [4, 14, 26, 3]


@pytest.mark.parametrize("text", ["short", "much longer than that", "日本語の名前です", "e\u0301\u0301"])
@pytest.mark.parametrize("width", [1, 5, 9, 20])
def test_a_text_takes_exactly_its_columns_whatever_it_is_written_in(text, width):
    assert cell_len(sized(text, width)) == width


def test_a_row_is_as_wide_as_its_columns():
    columns = fitting_columns([column(4), column(5, grows=1, is_right=True)], 30)

    assert sum(cell_len(cell.text) for cell in laid_out(columns, "日本")) == 30


@pytest.mark.parametrize("text", ["\x1b[2J", "\x07", "a\nb", "\u202e", "\x9b31m"])
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(text):
    assert clean(text).isprintable()


@pytest.mark.parametrize(("done", "total", "full"), [(0, 3, 0), (2, 3, 6), (999, 1000, 8), (3, 3, 9), (0, 0, 0)])
def test_a_bar_is_full_only_when_all_is_done(done, total, full):
    assert bar(done, total, 9, Glyphs()).count("━") == full


def test_small_numbers_show_in_a_sparkline_too():
    assert sparkline([0, 1, 100], Glyphs()) == " ▁█"
    assert sparkline([0, 0], ASCII) == "  "


@pytest.mark.parametrize("text", ["abcdefgh", "日本語の名前", "a日b本c語"])
def test_a_line_that_is_wrapped_loses_nothing(text):
    rows = wrapped([Cell("> "), Cell(text, "bad")], 5)

    assert "".join(cell.text for row in rows for cell in row) == f"> {text}"
    assert all(sum(cell_len(cell.text) for cell in row) <= 5 for row in rows)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (59.4, "59s"),
        (59.6, "1:00"),
        (3599.6, "1:00:00"),
        (100_000, "1d 3h"),
        (-3, "0.0s"),
    ],
)
def test_durations_are_short(seconds, text):
    assert lasted(seconds) == text


@pytest.mark.parametrize(("size_bytes", "text"), [(0, "0B"), (130_000_000, "124M"), (1_300_000_000, "1.2G")])
def test_sizes_are_short(size_bytes, text):
    assert size(size_bytes) == text
