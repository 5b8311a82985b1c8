"""The digest of large values: the same however they are cut, another one for every other value."""

import pytest

from nflow.wire.digest import DIGEST_LENGTH, SEGMENT_BYTES, ValueDigest, cut, digest_of_parts


def data_of(size: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in range(size // 4 + 1))[:size]


SIZES = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 6 * SEGMENT_BYTES + 5]


@pytest.mark.parametrize("size", SIZES)
def test_a_value_has_one_digest_however_it_is_cut(size):
    data = data_of(size)
    halves = [data[: size // 3], bytearray(data[size // 3 :])]
    digesting = ValueDigest(size)

    for segment in cut(halves, SEGMENT_BYTES):
        digesting.add(segment)

    assert digesting.hex() == digest_of_parts([data]) == digest_of_parts(halves)
    assert len(digest_of_parts([data])) == DIGEST_LENGTH


def test_values_that_differ_have_different_digests():
    data = data_of(3 * SEGMENT_BYTES)
    swapped = data[SEGMENT_BYTES : 2 * SEGMENT_BYTES] + data[:SEGMENT_BYTES] + data[2 * SEGMENT_BYTES :]
    values = [b"", b"\0", data, data[:-1], data + b"\0", data[:-1] + b"!", swapped]

    assert len({digest_of_parts([value]) for value in values}) == len(values)


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_pieces_are_of_one_size_but_the_last(size):
    parts = [b"a" * 10, b"", b"b" * 133, b"c"]

    pieces = [b"".join(piece) for piece in cut(parts, size)]

    assert b"".join(pieces) == b"".join(parts)
    assert {len(piece) for piece in pieces[:-1]} <= {size}
    assert 0 < len(pieces[-1]) <= size
