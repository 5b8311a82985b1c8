"""Plain data ⇄ bytes, and frames on a pipe between a worker and its slots.

A frame is its length in four bytes, then msgpack. Both ends are one version of nflow, so frames carry no schema.
"""

import struct
from typing import Any, Final

import msgpack

_LENGTH: Final = struct.Struct(">I")

#: What a worker sends of a large value, on a socket beside the pipe, comes under a head: its kind, and a number.
HEAD: Final = struct.Struct(">cQ")
DATA: Final = b"d"  #: so many bytes of the value follow
FILE: Final = b"f"  #: the path of a file to read the value from follows, so many bytes long
THERE: Final = b"t"  #: that file holds so many bytes by now
END: Final = b"."  #: nothing more will come

#: What tasks say may quote names of files that are no UTF-8.
_ERRORS: Final = "surrogatepass"


def pack_plain(value: Any) -> bytes:
    """Numbers, strings, bytes, lists and dicts as bytes."""
    return msgpack.packb(value, unicode_errors=_ERRORS)  # type: ignore[no-any-return]


def unpack_plain(payload: bytes) -> Any:
    """The reverse of `pack_plain`."""
    return msgpack.unpackb(payload, strict_map_key=False, unicode_errors=_ERRORS)


def pack_frame(*parts: Any) -> bytes:
    """One frame that holds `parts`."""
    body: bytes = msgpack.packb(parts, unicode_errors=_ERRORS)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Takes bytes as they come from a pipe, gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[list[Any]]:
        """The frames that are complete now."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                break
            frame = memoryview(self._buffer)[_LENGTH.size : end]
            frames.append(msgpack.unpackb(frame, strict_map_key=False, unicode_errors=_ERRORS))
            frame.release()
            del self._buffer[:end]
        return frames
