"""Lines that tasks print and log ⇄ bytes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.wire.frames import pack_plain, unpack_plain

SCHEMA: Final = 1

_NO_TEXT = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a task wrote. `at` is seconds since the epoch, by the clock of its worker.

    Bytes that are no UTF-8 stand in `text` as Python's `surrogateescape` has them; `raw` has them as they were.
    """

    at: float
    stream: str  #: `out`, `err` or `log`
    text: str
    level: str = ""
    logger: str = ""
    end: str = "\n"  #: what ended it; empty where it goes on in the next one, or was the last

    @property
    def raw(self) -> bytes:
        """What was written, to the byte."""
        return (self.text + self.end).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Lines of one attempt that travel together.

    An execution of the attempt has a sender of its own, and counts from 1: so it shows what was sent twice, or is lost.
    """

    attempt: int
    lines: list[Line]
    sender: str = ""
    number: int = 0


def pack_lines(lines: Sequence[Line], *, attempt: int, sender: str = "", number: int = 0) -> bytes:
    """Lines of one attempt as a message."""
    rows = [
        [line.at, line.stream, line.text, line.level, line.logger, *([] if line.end == "\n" else [line.end])]
        for line in lines
    ]
    return pack_plain([SCHEMA, attempt, rows, sender, number])


def unpack_lines(payload: bytes) -> tuple[int, list[Line]]:
    """The attempt and its lines. Raises as `unpack_passage` does."""
    passage = unpack_passage(payload)
    return passage.attempt, passage.lines


def unpack_passage(payload: bytes) -> Passage:
    """The reverse of `pack_lines`.

    Raises:
        SchemaTooNew: written by a newer nflow.
        BrokenMessage: these bytes are no lines.
    """
    try:
        schema, attempt, rows, *more = unpack_plain(payload)
        if schema > SCHEMA:
            raise SchemaTooNew(f"These lines have schema {schema}; this nflow reads {SCHEMA}. Upgrade it.")
        sender, number = (*more, "", 0)[:2] if more else ("", 0)
        return Passage(attempt=attempt, lines=[_line(*row) for row in rows], sender=sender, number=number)
    except (ValueError, TypeError, IndexError) as error:
        raise BrokenMessage(f"A message of the logs cannot be read: {error}.") from error


def _line(at: float, stream: str, text: str, level: str, logger: str, end: str = "\n", *_: object) -> Line:
    return Line(at=at, stream=stream, text=text, level=level, logger=logger, end=end)


def readable(text: str) -> str:
    r"""A text with what no encoding has, such as bytes that were no UTF-8, written as `\xe9`; all else as it is."""
    return text if text.isascii() else _NO_TEXT.sub(lambda found: escaped(found[0]), text)


def escaped(character: str) -> str:
    r"""A character that is not to be seen, as Python writes it: `\x1b`, and `\xe9` for a byte that was no UTF-8."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # such a byte, as `surrogateescape` has it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
