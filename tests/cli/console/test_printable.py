"""Texts of users on a terminal."""

import pytest

from nflow.cli.console.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 12 µm\n\tand more", "größe 12 µm\n\tand more"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("over\rwritten", "over\\rwritten"),
        ("bell\a\x9b", "bell\\x07\\x9b"),
        ("half \udcff", "half \\udcff"),
        ("turned \u202e round", "turned \\u202e round"),
    ],
)
def test_what_would_move_the_cursor_is_written_out(text, shown):
    assert printable(text) == shown
