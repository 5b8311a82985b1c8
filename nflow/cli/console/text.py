"""Text of users on its way to a person: it may hold anything, and must neither move a cursor nor be lost."""

import re

from nflow.wire.lines import escaped

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")


def visible(text: str) -> str:
    r"""`text`, with what is no character to be seen written as in Python: `\x1b`, `\xe9`. Tabs stay."""
    return text if text.isprintable() else _CONTROLS.sub(lambda found: escaped(found[0]), text)


def seen(text: str) -> str:
    """A line as a terminal would have left it for a person to see: without colours, and overwritten by what came after.

    Of a progress bar, which goes back to the beginning of its line again and again, that is its last state.
    """
    if text.isprintable():
        return text
    return visible(_COLOURS.sub("", text).rstrip("\r").rpartition("\r")[2])
