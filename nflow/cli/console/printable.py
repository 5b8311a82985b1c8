"""Texts of users and tasks on a terminal: what would move its cursor or change its colours is written out instead."""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` with its control characters as Python escapes them; lines and tabs stay."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
