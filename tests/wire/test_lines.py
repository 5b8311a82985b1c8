"""Lines that tasks print and log ⇄ bytes."""

import pytest

from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.wire.frames import pack_plain
from nflow.wire.lines import Line, Passage, pack_lines, readable, unpack_lines, unpack_passage

LINES = [
    Line(at=1.5, stream="out", text="one"),
    Line(at=2.5, stream="out", text="caf\udce9", end="\r\n"),
    Line(at=3.5, stream="err", text="half", end=""),
    Line(at=4.5, stream="log", text="two\nlines", level="INFO", logger="mine"),
]


def test_lines_come_back_as_they_were():
    packed = pack_lines(LINES, attempt=2, sender="s", number=7)

    assert unpack_passage(packed) == Passage(attempt=2, lines=LINES, sender="s", number=7)
    assert unpack_lines(packed) == (2, LINES)


def test_a_line_knows_its_bytes():
    assert [line.raw for line in LINES[:3]] == [b"one\n", b"caf\xe9\r\n", b"half"]


def test_lines_of_an_earlier_nflow_can_be_read():
    packed = pack_plain([1, 2, [[1.5, "out", "one", "", ""]]])

    assert unpack_passage(packed) == Passage(attempt=2, lines=LINES[:1])


def test_lines_of_a_newer_nflow_may_hold_more():
    packed = pack_plain([1, 2, [[1.5, "out", "one", "", "", "\n", "more"]], "s", 7, "more"])

    assert unpack_passage(packed) == Passage(attempt=2, lines=LINES[:1], sender="s", number=7)


def test_lines_of_another_schema_are_not_guessed_at():
    with pytest.raises(SchemaTooNew, match="Upgrade it"):
        unpack_passage(pack_plain([2, 2, []]))


@pytest.mark.parametrize("payload", [b"", b"nonsense", pack_plain([1, 2]), pack_plain([1, 2, [[1.5]]]), pack_plain(5)])
def test_what_are_no_lines_is_refused(payload: bytes):
    with pytest.raises(BrokenMessage, match="cannot be read"):
        unpack_passage(payload)


def test_what_no_encoding_has_is_written_out():
    assert readable("caf\udce9 \ud800 ä \x1b") == "caf\\xe9 \\ud800 ä \x1b"
