"""Lines that tasks print and log ⇄ bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nflow.errors import BrokenMessage, SchemaTooNew
from nflow.wire.frames import pack_plain, unpack_plain

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that a task wrote. `at` is seconds since the epoch, by the clock of its worker."""

    at: float
    stream: str  #: `out`, `err` or `log`
    text: str
    level: str = ""
    logger: str = ""


def pack_lines(lines: Sequence[Line], *, attempt: int) -> bytes:
    """Lines of one attempt as a message."""
    rows = [[line.at, line.stream, line.text, line.level, line.logger] for line in lines]
    return pack_plain([SCHEMA, attempt, rows])


def unpack_lines(payload: bytes) -> tuple[int, list[Line]]:
    """The attempt and its lines.

    Raises:
        SchemaTooNew: written by a newer nflow.
        BrokenMessage: these bytes are no lines.
    """
    try:
        schema, attempt, rows = unpack_plain(payload)[:3]
        if schema > SCHEMA:
            raise SchemaTooNew(f"These lines have schema {schema}; this nflow reads {SCHEMA}. Upgrade it.")
        lines = [Line(at=row[0], stream=row[1], text=row[2], level=row[3], logger=row[4]) for row in rows]
    except (ValueError, TypeError, IndexError) as error:
        raise BrokenMessage(f"A message of the logs cannot be read: {error}.") from error
    return attempt, lines
