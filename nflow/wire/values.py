"""Any Python value ⇄ bytes, so that it comes back equal and of the same type.

Plain data is msgpack, with extensions for the rest of Python's own types; arrays keep their buffers; everything else
is pickled. Two places that hold one list come back as two lists; a value that holds itself comes back whole.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pickle import PickleBuffer
from types import NoneType
from typing import Any, Final

import msgpack

from nflow.core.dataset import INLINE, Ref
from nflow.errors import BrokenMessage, NotShippable, SchemaTooNew
from nflow.wire import arrays
from nflow.wire.digest import digest_of_parts
from nflow.wire.extensions import ARRAY, BACK, BIG_INT, BUFFER, NAMES, OUT, PICKLE, SCALAR, Unsuited, big_int_out
from nflow.wire.pickling import dump, load

Data = bytes | bytearray | memoryview

#: Bytes of so many stay where they are on their way out, as an array's buffer does.
_BESIDE_BYTES: Final = 64 * 1024

DEEPEST: Final = 100  #: nested deeper than this, or without end, a value is pickled whole

#: What taking apart bytes that are no value may raise.
_GARBAGE: Final = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    struct.error,
    msgpack.UnpackException,
)

_AS_THEY_ARE: Final = frozenset({NoneType, bool, int, float, str, bytes})
_TYPE_NAMES: Final[dict[type, str]] = {
    NoneType: "none",
    **{kind: kind.__name__ for kind in (bool, int, float, str, bytes, list, dict)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A value, ready to travel. Large buffers are still the value's own: change it only once they are sent."""

    type: str  #: what kind of value it is: `none bool int float str bytes list dict tuple … numpy pickle`
    parts: tuple[Data, ...]

    @property
    def size_bytes(self) -> int:
        """How long `data` is, or would be."""
        return sum(len(part) for part in self.parts)

    @property
    def data(self) -> bytes:
        """All parts as one; copies, where there is more than one."""
        first, *more = self.parts
        return first if not more and isinstance(first, bytes) else b"".join(self.parts)

    @property
    def digest(self) -> str:
        """What a reference to `data` has as its digest."""
        return digest_of_parts(self.parts)

    def inline(self) -> Ref:
        """A reference that holds the value itself."""
        return Ref(scheme=INLINE, where=self.data, size_bytes=self.size_bytes, digest="", type=self.type)


def encode(value: object, what: str = "This value") -> Encoded:
    """`value` as bytes.

    Args:
        value: Anything that can be sent to another process.
        what: How an error calls it: `data['image']`.

    Raises:
        NotShippable: It cannot be sent; the message tells which part of it, and what to do.
    """
    if isinstance(value, bytes | bytearray) and len(value) >= _BESIDE_BYTES and type(value) in (bytes, bytearray):
        name = type(value).__name__
        return Encoded(type=name, parts=tuple(_framed(_pack(_extension(BUFFER, name)), [value])))
    if type(value) in _AS_THEY_ARE:
        return Encoded(type=_TYPE_NAMES[type(value)], parts=(_pack(value),))
    out = _Outgoing(what)
    try:
        plain = out.lower(value, 0)
    except (_OnlyWholeError, NotShippable):
        # NotShippable: said again of the whole value, so that the message tells the way to what is to blame
        out = _Outgoing(what)
        plain = out.pickled(value)
    name = _TYPE_NAMES.get(type(value)) or NAMES[plain.code]
    return Encoded(type=name, parts=tuple(_framed(_pack(plain), out.buffers)))


def inline(value: object, what: str = "This value") -> Ref:
    """A reference that holds `value` itself. Raises as `encode` does."""
    return encode(value, what).inline()


def decode(data: Data, what: str = "A value") -> object:
    """The value that was encoded.

    Arrays are writable. They live in `data` itself if that is (a bytearray), which must then be left alone.

    Raises:
        MissingModule: It needs a module that is not installed here; the message names it.
        SchemaTooNew: A newer nflow wrote it.
        BrokenMessage: These bytes are no value.
    """
    try:
        if data[:1] != _FRAME_MARK:
            return _Incoming(what, ()).value(data)
        head, buffers = _unframed(memoryview(data))
        return _Incoming(what, buffers).value(head)
    except _GARBAGE as error:
        raise BrokenMessage(f"{what} cannot be read: these {len(data)} bytes are no value ({error}).") from error


def is_plain(data: Data) -> bool:
    """Whether an encoded value is msgpack alone, without buffers beside it."""
    return bytes(data[:1]) != _FRAME_MARK


# --- out -------------------------------------------------------------------------------------------------------------


class _OnlyWholeError(Exception):
    """A container that msgpack cannot carry: nested too deep, perhaps without end, or with keys that look alike."""


class _Outgoing:
    """One value on its way out, and the buffers that go beside it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.buffers: list[Data] = []

    def lower(self, value: Any, depth: int) -> Any:
        """`value` in words of msgpack; containers that need no change are not copied."""
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if depth > DEEPEST:
            raise _OnlyWholeError
        if kind is list:
            return self._items(value, depth)
        if kind is dict:
            return self._map(value, depth)
        return self._extended(value, depth)

    def _items(self, values: list[Any], depth: int) -> list[Any]:
        if _AS_THEY_ARE.issuperset(map(type, values)):
            return values
        return [self.lower(value, depth + 1) for value in values]

    def _map(self, values: dict[Any, Any], depth: int) -> dict[Any, Any]:
        if _AS_THEY_ARE.issuperset(map(type, values)) and _AS_THEY_ARE.issuperset(map(type, values.values())):
            return values
        plain = {self.lower(key, depth + 1): self.lower(value, depth + 1) for key, value in values.items()}
        if len(plain) < len(values):  # keys that differ by identity alone
            raise _OnlyWholeError
        return plain

    def _extended(self, value: Any, depth: int) -> Any:
        if type(value) in OUT:
            code, plain_of = OUT[type(value)]
            try:
                plain = plain_of(value)
            except Unsuited:
                return self.pickled(value)
            return _extension(code, self.lower(plain, depth))
        if arrays.is_array(value):
            described, buffer = arrays.describe(value)
            self.buffers.append(buffer)
            return _extension(ARRAY, [len(self.buffers) - 1, *described])
        if arrays.is_scalar(value):
            return _extension(SCALAR, arrays.describe_scalar(value))
        return self.pickled(value)

    def pickled(self, value: object) -> Any:
        first = len(self.buffers)
        data = dump(value, self._what, self._take)
        return _extension(PICKLE, [data, first, len(self.buffers) - first])

    def _take(self, buffer: PickleBuffer) -> None:
        self.buffers.append(buffer.raw())


def _extension(code: int, plain: object) -> Any:
    return msgpack.ExtType(code, _pack(plain))


def _big_int(value: object) -> Any:
    # msgpack asks for what it cannot pack; all else was made plain before
    assert type(value) is int, type(value)
    return _extension(BIG_INT, big_int_out(value))


def _pack(plain: object) -> bytes:
    data: bytes = msgpack.packb(plain, strict_types=True, default=_big_int, unicode_errors="surrogatepass")
    return data


# --- back ------------------------------------------------------------------------------------------------------------


class _Incoming:
    """One value on its way back, and the buffers that came beside it."""

    def __init__(self, what: str, buffers: Sequence[memoryview]) -> None:
        self._what = what
        self._buffers = buffers

    def value(self, data: Data) -> Any:
        return msgpack.unpackb(data, ext_hook=self._extended, strict_map_key=False, unicode_errors="surrogatepass")

    def _extended(self, code: int, data: bytes) -> object:
        back = BACK.get(code)
        if back is not None:
            return back(self.value(data))
        if code == ARRAY:
            at, *described = self.value(data)
            return arrays.rebuild(described, self._buffers[at])
        if code == SCALAR:
            return arrays.rebuild_scalar(self.value(data))
        if code == BUFFER:
            return bytes(self._buffers[0]) if self.value(data) == "bytes" else bytearray(self._buffers[0])
        if code == PICKLE:
            pickled, first, count = self.value(data)
            return load(pickled, self._what, self._buffers[first : first + count])
        raise SchemaTooNew(f"{self._what} was written by a newer nflow (extension {code}). Upgrade this worker.")


# --- values with buffers: a frame around the msgpack, and the buffers behind it -------------------------------------

_FRAME_MARK: Final = b"\xc1"  # the one byte that msgpack never uses
_FRAME_VERSION: Final = 1
_FRAME: Final = struct.Struct("<cBHIQ")  # mark, version, reserved, number of buffers, length of the msgpack
_ALIGNED: Final = 16  # bytes: what the strictest number type of numpy asks for


def _framed(head: bytes, buffers: Sequence[Data]) -> list[Data]:
    if not buffers:
        return [head]
    sizes = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
    frame = _FRAME.pack(_FRAME_MARK, _FRAME_VERSION, 0, len(buffers), len(head)) + sizes + head
    parts: list[Data] = [frame + _gap(len(frame))]
    for buffer in buffers:
        parts += [buffer, _gap(len(buffer))]
    return [part for part in parts if len(part)]


def _unframed(data: memoryview) -> tuple[memoryview, list[memoryview]]:
    _, version, _, count, size = _FRAME.unpack_from(data)
    if version > _FRAME_VERSION:
        raise SchemaTooNew(f"A value was written by a newer nflow (frame {version}). Upgrade this worker.")
    sizes = struct.unpack_from(f"<{count}Q", data, _FRAME.size)
    start = _FRAME.size + 8 * count
    head, at = data[start : start + size], start + size
    buffers = []
    for length in sizes:
        at += len(_gap(at))
        if at + length > len(data):
            raise ValueError("the end is missing")
        part = data[at : at + length]
        # user code changes arrays in place, so they need memory that can be written
        buffers.append(memoryview(bytearray(part)) if part.readonly else part)
        at += length
    return head, buffers


def _gap(size: int) -> bytes:
    return bytes(-size % _ALIGNED)
