"""Writing to streams whose readers may leave."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def write(stream: TextIO, text: str, *, flush: bool = True) -> None:
    """Write to a stream whose reader may be gone: the run is worth finishing even when nobody looks on."""
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except BrokenPipeError:
        abandon(stream)


def say(text: str) -> None:
    """Tell something on stdout."""
    write(sys.stdout, f"{text}\n")


def abandon(stream: TextIO) -> None:
    """Let all that is still written to a stream vanish: whoever read it, `head` perhaps, has seen enough."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    with suppress(BrokenPipeError):
        stream.flush()
