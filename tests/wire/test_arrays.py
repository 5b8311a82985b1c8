import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nflow.errors import BrokenMessage, MissingModule
from nflow.wire.values import decode, encode

from .same import same

ALIGNED = np.dtype([("a", "u1"), ("b", "f8"), ("c", "<U3", (2,))], align=True)


def sent(value):
    return decode(bytearray(encode(value).data))


dtypes = npst.scalar_dtypes() | npst.array_dtypes() | npst.nested_dtypes()


@given(npst.arrays(dtypes, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_an_array_comes_back_with_its_dtype_and_shape(array, transposed, reversed_):
    if transposed:
        array = array.T
    if reversed_ and array.ndim:
        array = array[::-1]

    back = sent({"image": array})["image"]

    assert same(back, array)
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous


@pytest.mark.parametrize(
    "array",
    [
        np.array(5.0),
        np.zeros((3, 0)),
        np.zeros((2, 3), order="F"),
        np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
        np.broadcast_to(np.arange(3), (2, 3)),
        np.arange(3, dtype=">i4"),
        np.array(["2026-01-01", "NaT"], "M8[ns]"),
        np.array([b"a", b"bc"]),
        np.array(["a", "µm"]),
        np.zeros(2, ALIGNED),
        np.zeros(3, np.dtype("f8", metadata={"unit": "mm"})),
        np.array([1 + 2j], np.clongdouble),
        np.array([True, False]),
    ],
)
def test_every_layout_comes_back(array):
    back = sent(array)

    assert encode(array).type == "numpy"
    assert same(back, array)
    assert back.dtype.metadata == array.dtype.metadata
    assert back.flags.writeable


def test_an_aligned_structure_stays_aligned():
    assert sent(np.zeros(2, ALIGNED)).dtype.isalignedstruct


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, "a", None], object),
        np.zeros(2, [("o", object), ("x", "f8")]),
        np.ma.masked_array([1, 2], mask=[0, 1]),
        np.rec.fromarrays([[1, 2]], names="a"),
        np.str_("abc"),
        np.bytes_(b"ab"),
        np.zeros(1, ALIGNED)[0],
        np.array(["a", "long " * 50], np.dtypes.StringDType()),
    ],
)
def test_what_a_buffer_does_not_tell_is_pickled(value):
    back = sent([value])[0]

    assert encode(value).type == "pickle"
    assert type(back) is type(value)
    assert back.dtype == value.dtype
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    "scalar",
    [np.float64(-0.0), np.float32(1.5), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True), np.complex64(1j),
     np.datetime64("2026-01-01T00:00", "ns"), np.timedelta64(5, "D"), np.longdouble(1) / 3, np.float16("nan")],
)  # fmt: skip
def test_a_scalar_comes_back_as_the_scalar_it_was(scalar):
    back = sent((scalar,))[0]

    assert encode(scalar).type == "numpy"
    assert same(back, scalar)


def test_a_value_may_hold_many_arrays_among_other_things():
    value = {"images": [np.arange(5), (np.eye(2), {"deep": np.array(1)})], 3: b"x", "n": np.int16(2)}

    back = sent(value)

    assert list(back) == ["images", 3, "n"]
    assert same(back["images"], value["images"])
    assert encode(value).type == "dict"


def test_a_pickled_objects_arrays_travel_beside_it():
    class Frame:
        def __init__(self):
            self.pixels = np.arange(1000)

    encoded = encode(Frame())

    assert any(len(part) == 8000 for part in encoded.parts)
    back = decode(bytearray(encoded.data))
    back.pixels[0] = 7
    assert back.pixels.sum() == 1000 * 999 // 2 + 7


def test_encoding_does_not_copy_the_pixels():
    image = np.zeros((4, 5))

    encoded = encode(image)

    assert any(np.shares_memory(np.frombuffer(part, "u1"), image) for part in encoded.parts)


def test_an_array_from_a_bytearray_lives_in_it_and_may_be_changed():
    data = bytearray(encode(np.arange(10.0)).data)

    array = decode(data)
    array += 1

    assert np.shares_memory(array, np.frombuffer(data, "u1"))
    assert array.flags.aligned


def test_an_array_from_bytes_may_be_changed_too():
    data = encode([np.arange(10.0), np.arange(3)]).data

    decode(data)[0][:] = 5

    assert decode(data)[0][1] == 1.0


def test_a_worker_without_numpy_is_told_so(monkeypatch):
    data = encode([np.arange(3)]).data

    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(MissingModule, match="numpy"):
        decode(data)


def test_a_truncated_array_is_refused():
    data = encode(np.arange(100)).data

    with pytest.raises(BrokenMessage, match="the end is missing"):
        decode(data[:-8])
