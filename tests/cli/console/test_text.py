"""Texts of users on their way to a person."""

import pytest

from nflow.cli.console.text import seen, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext ä 😀 [bold]", "plain\ttext ä 😀 [bold]"),
        ("\x1b[2Jgone\x07", "\\x1b[2Jgone\\x07"),
        ("caf\udce9", "caf\\xe9"),
        ("odd \ud800 \u2028", "odd \\ud800 \\u2028"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("10 %\r20 %\r30 %", "30 %"),
        ("done\r", "done"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ],
)
def test_a_line_is_shown_as_a_terminal_would_have_left_it(text: str, shown: str):
    assert seen(text) == shown
