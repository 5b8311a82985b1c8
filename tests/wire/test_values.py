import collections
import decimal
import enum
import pathlib
import sys
import uuid
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.core.dataset import INLINE
from nflow.errors import BrokenMessage, MissingModule, NotShippable, SchemaTooNew
from nflow.wire.digest import digest_of_parts
from nflow.wire.values import decode, encode, inline

from .same import same

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

Point = collections.namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Name(str):
    __slots__ = ()


class Box:
    def __init__(self, content):
        self.content = content

    def __eq__(self, other):
        return type(other) is Box and other.content == self.content

    __hash__ = None


class Local(tzinfo):
    """A zone of a user's own."""

    def utcoffset(self, _):
        return timedelta(hours=3)

    def dst(self, _):
        return None

    def __eq__(self, other):
        return type(other) is Local

    __hash__ = None


def sent(value):
    return decode(encode(value).data)


zones = st.none() | st.just(UTC) | st.just(BERLIN) | st.just(timezone(timedelta(hours=-3, minutes=-30), "X"))
hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters(), max_size=8)
    | st.binary(max_size=8)
    | st.dates()
    | st.datetimes(timezones=zones)
    | st.times(timezones=st.none() | st.just(UTC))
    | st.timedeltas()
    | st.builds(pathlib.PurePosixPath, st.text("ab/. é", max_size=8))
    | st.sampled_from([Colour.RED, Mode.FAST, Name("n"), Point(1, (2,))]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    hashables | st.floats() | st.binary(max_size=8).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3).map(collections.OrderedDict)
    ),
    max_leaves=10,
)


@given(values)
@settings(max_examples=300, deadline=None)
def test_a_value_comes_back_equal_and_of_its_type(value):
    back = sent(value)

    assert same(back, value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "none"),
        (True, "bool"),
        (7, "int"),
        (2**64, "int"),
        (-(2**63) - 1, "int"),
        (-0.0, "float"),
        (float("nan"), "float"),
        ("µm", "str"),
        ("\udcff", "str"),
        (b"\x00", "bytes"),
        (bytearray(b"\x00"), "bytearray"),
        ([1, [2]], "list"),
        ({"a": {"b": 1}}, "dict"),
        ({1: "a", (2, 3): "b", None: "c", b"d": "e"}, "dict"),
        ((1, (2, ())), "tuple"),
        ({1, 2}, "set"),
        (frozenset({1}), "frozenset"),
        (1 - 0j, "complex"),
        (datetime(2026, 1, 2, 3, 4, 5, 6), "datetime"),  # noqa: DTZ001  a naive one is a value too
        (date(1, 1, 1), "date"),
        (time(23, 59, 59, 999999), "time"),
        (timedelta(days=-1, microseconds=1), "timedelta"),
        (pathlib.Path("a/b"), "path"),
        (pathlib.PureWindowsPath("c:\\a"), "path"),
        (collections.OrderedDict(b=1, a=2), "pickle"),
        (collections.defaultdict(list, a=[1]), "pickle"),
        (collections.deque([1, 2], maxlen=3), "pickle"),
        (Point(1, 2), "pickle"),
        (Colour.RED, "pickle"),
        (Mode.FAST, "pickle"),
        (Name("n"), "pickle"),
        (decimal.Decimal("0.10"), "pickle"),
        (uuid.UUID(int=5), "pickle"),
        (range(5), "pickle"),
        (Box([1]), "pickle"),
        (int, "pickle"),
    ],
)
def test_every_kind_of_value_has_its_name(value, name):
    encoded = encode(value)

    assert encoded.type == name
    assert same(decode(encoded.data), value)


# --- times -----------------------------------------------------------------------------------------------------------


def test_a_time_keeps_the_name_of_its_zone_and_its_fold():
    twice = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN)

    back = sent(twice)

    assert back.tzinfo is BERLIN
    assert back.fold == 1
    assert back.utcoffset() == twice.utcoffset() == timedelta(hours=1)


def test_a_fixed_zone_keeps_its_offset_and_name():
    zone = timezone(timedelta(hours=5, seconds=1, microseconds=2), "ship")

    back = sent(datetime(2026, 1, 1, tzinfo=zone))

    assert back.tzinfo == zone
    assert back.tzname() == "ship"
    assert sent(datetime(2026, 1, 1, tzinfo=UTC)).tzinfo is UTC


def test_a_zone_unknown_to_the_reader_still_gives_the_same_moment():
    moment = datetime(2026, 7, 1, 12, tzinfo=BERLIN)
    data = encode(moment).data.replace(b"Europe/Berlin", b"Europe/Atlant")

    back = decode(data)

    assert back == moment
    assert back.tzname() == "Europe/Atlant"


def test_a_zone_without_a_name_becomes_its_offset():
    path = next(
        pathlib.Path(each) / "Europe/Berlin" for each in zoneinfo.TZPATH if pathlib.Path(each, "Europe/Berlin").exists()
    )
    with path.open("rb") as file:
        nameless = zoneinfo.ZoneInfo.from_file(file)

    back = sent(datetime(2026, 7, 1, tzinfo=nameless))

    assert back.tzinfo == timezone(timedelta(hours=2))


def test_a_zone_of_a_users_own_travels_as_it_is():
    moment = datetime(2026, 7, 1, tzinfo=Local())

    assert sent(moment) == moment
    assert sent(time(1, tzinfo=Local())).tzinfo == Local()


def test_a_time_of_day_in_a_named_zone_has_no_offset_and_keeps_the_name():
    assert sent(time(12, tzinfo=BERLIN)).tzinfo is BERLIN


def test_a_concrete_windows_path_is_read_as_a_pure_one_elsewhere():
    plain = msgpack.packb(["WindowsPath", "c:\\data\\a.tif"])

    back = decode(msgpack.packb(msgpack.ExtType(7, plain)))

    assert back == pathlib.PureWindowsPath("c:\\data\\a.tif")


# --- shape -----------------------------------------------------------------------------------------------------------


def test_a_value_that_holds_itself_comes_back_whole():
    ring = [1]
    ring.append({"again": ring})

    back = sent(ring)

    assert encode(ring).type == "list"
    assert back[1]["again"] is back


def test_a_ring_through_a_tuple_comes_back_whole():
    ring = []
    ring.append((ring,))

    back = sent(ring)

    assert back[0][0] is back


def test_a_deeply_nested_value_comes_back():
    deep = []
    for _ in range(150):
        deep = [deep]

    assert sent(deep) == deep


def test_a_value_nested_beyond_all_measure_is_refused():
    deep = []
    for _ in range(50_000):
        deep = (deep,)

    with pytest.raises(NotShippable, match="This value cannot be sent"):
        encode(deep)
    while deep:  # else the interpreter's own recursion takes it apart
        deep = deep[0]


def test_keys_that_differ_by_identity_alone_stay_apart():
    class Key:
        pass

    back = sent({Key(): 1, Key(): 2})

    assert sorted(back.values()) == [1, 2]


def test_encoding_changes_nothing_in_the_value():
    value = {"a": [1, (2, {3})], "b": bytearray(b"x")}
    before = repr(value)

    encode(value)

    assert repr(value) == before


def test_a_view_of_bytes_comes_back_as_bytes():
    assert sent([memoryview(b"abc")]) == [b"abc"]


def test_msgpacks_own_types_are_values_like_any_other():
    value = [msgpack.ExtType(1, b"\x90"), msgpack.Timestamp(5, 6)]

    assert same(sent(value), value)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_generator_is_refused_with_what_to_do():
    with pytest.raises(NotShippable) as refused:
        encode((n for n in range(3)), "data['rows']")

    assert str(refused.value) == (
        "data['rows'] cannot be sent to another process: a generator (cannot pickle 'generator' object). "
        "Make it a list first."
    )


def test_a_refusal_tells_the_way_to_the_culprit():
    with pytest.raises(NotShippable, match=r"\['scan'\]\[1\]\.content is a generator"):
        encode({"ok": 1, "scan": [2, Box(n for n in range(3))]})


def test_an_object_that_refuses_to_be_pickled_is_told_in_its_own_words():
    class Stubborn:
        def __reduce__(self):
            raise KeyError("not me")

    with pytest.raises(NotShippable, match=r"a .*Stubborn .*not me"):
        encode([Stubborn()])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc1\x01\x00\x00\x01\x00\x00\x00" + b"\xff" * 8,
        b"\x91",
        b"\x05\x05",
        msgpack.packb(msgpack.ExtType(1, b"\x05")),
        msgpack.packb(msgpack.ExtType(6, msgpack.packb(10**12))),
        msgpack.packb(msgpack.ExtType(7, msgpack.packb(["Path", "x"]))),
        msgpack.packb(msgpack.ExtType(8, msgpack.packb(["2026", 0]))),
        msgpack.packb(msgpack.ExtType(11, msgpack.packb([10**12, 0, 0]))),
        msgpack.packb(msgpack.ExtType(20, msgpack.packb([0, "<f8", [1], "C"]))),
        msgpack.packb(msgpack.ExtType(22, msgpack.packb([b"junk", 0, 0]))),
        msgpack.packb({msgpack.ExtType(2, msgpack.packb([])): 1}),
    ],
)
def test_bytes_that_are_no_value_are_told_as_such(data):
    with pytest.raises(BrokenMessage, match="data"):
        decode(data, "data['x']")


@given(st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_garbage_is_a_value_or_refused(data):
    try:
        decode(data)
    except (BrokenMessage, SchemaTooNew):
        return


def test_an_extension_of_a_later_version_is_not_guessed_at():
    with pytest.raises(SchemaTooNew, match="extension 99"):
        decode(msgpack.packb([1, msgpack.ExtType(99, b"")]))


def test_a_value_of_a_missing_module_names_that_module(tmp_path, monkeypatch):
    (tmp_path / "only_there.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import only_there

    data = encode({"thing": only_there.Thing()}).data
    monkeypatch.undo()
    del sys.modules["only_there"]

    with pytest.raises(MissingModule, match=r"data\['thing'\] needs the module 'only_there'"):
        decode(data, "data['thing']")


def test_a_module_of_another_version_is_told_as_such(tmp_path, monkeypatch):
    (tmp_path / "moved_on.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import moved_on

    data = encode(moved_on.Thing()).data
    del moved_on.Thing

    with pytest.raises(MissingModule, match="another version"):
        decode(data)
    monkeypatch.delitem(sys.modules, "moved_on")


# --- references ------------------------------------------------------------------------------------------------------


def test_an_inline_reference_holds_the_value_itself():
    ref = inline([1, 2])

    assert ref.scheme == INLINE
    assert ref.type == "list"
    assert ref.digest == ""
    assert ref.size_bytes == len(ref.where)
    assert decode(ref.where) == [1, 2]


def test_an_encoded_value_knows_its_size_and_digest_without_being_joined():
    encoded = encode({"a": bytearray(100), "b": list(range(10))})

    assert encoded.size_bytes == len(encoded.data)
    assert encoded.digest == digest_of_parts([encoded.data])


def test_the_same_value_has_the_same_bytes():
    assert encode({"a": (1, 2.5), "b": [None]}).data == encode({"a": (1, 2.5), "b": [None]}).data


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_bytes_are_not_copied_on_their_way_out_and_come_back_as_they_were(kind):
    value = kind(b"ab" * 100_000)

    encoded = encode(value)

    assert any(part is value for part in encoded.parts)
    assert encoded.type == kind.__name__
    for data in (encoded.data, bytearray(encoded.data), memoryview(bytearray(encoded.data))):
        back = decode(data)
        assert type(back) is kind
        assert back == value
