"""Text of users on its way to a person: it may hold anything, and must neither move a cursor nor be lost."""

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_NO_TEXT = re.compile(r"[\ud800-\udfff]")


def visible(text: str) -> str:
    r"""`text`, with what is no character to be seen written as in Python: `\x1b`, `\xe9`. Tabs stay."""
    return text if text.isprintable() else _CONTROLS.sub(_escaped, text)


def seen(text: str) -> str:
    """A line as a terminal would have left it for a person to see: without colours, and overwritten by what came after.

    Of a progress bar, which goes back to the beginning of its line again and again, that is its last state.
    """
    if text.isprintable():
        return text
    return visible(_COLOURS.sub("", text).rstrip("\r").rpartition("\r")[2])


def encodable(text: str) -> str:
    r"""`text` with its bytes that were no UTF-8 written as `\xe9`; control characters stay."""
    return text if text.isascii() else _NO_TEXT.sub(_escaped, text)


def _escaped(character: re.Match[str]) -> str:
    code = ord(character[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, as `surrogateescape` has it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
