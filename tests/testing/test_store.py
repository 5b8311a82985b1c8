"""The store as a task has it in its hands, played through the whole engine."""

import math
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.models import Dag, DataStoreDocumentSection
from nflow.tasks import PythonTask
from nflow.testing import play


def done(work):
    """What a task did with its store, and what it gave back."""

    def callback(data, store, signal, context):
        data["result"] = work(store)

    dag = Dag("main")
    dag.define({PythonTask("work", callback): None})
    return play(dag)


def result_of(work):
    return done(work).check()["work"].data["result"]


def test_a_key_without_a_value_gives_the_callers_default():
    assert result_of(lambda store: (store.get("nix"), store.get("nix", 5), store.get("nix.x", default="y"))) == (
        None,
        5,
        "y",
    )


def test_parts_of_a_key_come_as_a_dict():
    def work(store):
        store.set("buffer.observable", 20)
        store.set("buffer.list", [])
        store.push("buffer.list", [1, 2])
        store.extend("buffer.list", [3, 4])
        return store.get("buffer"), store.get("buffer.observable")

    assert result_of(work) == ({"observable": 20, "list": [[1, 2], 3, 4]}, 20)


def test_several_keys_are_set_at_once_or_none_is():
    def work(store):
        store.update({"a": 1, "b.c": 2})
        try:
            store.update({"a": 3, "b.d": (number for number in range(3))})
        except Exception as error:  # noqa: BLE001 - it is looked at
            return store.get("a"), store.get("b"), str(error)

    a, b, message = result_of(work)
    assert (a, b) == (1, {"c": 2})
    assert "'b.d'" in message
    assert "generator" in message


def test_keys_are_listed_and_deleted():
    def work(store):
        store.update({"sample.name": "Si", "sample.cell.a": 5.4, "energy": 12})
        before = store.keys(), store.keys("sample"), store.keys("nix"), store.keys("energy")
        return before, store.delete("sample.cell"), store.delete("sample.cell"), store.keys()

    before, first, second, after = result_of(work)
    assert before == (["energy", "sample.cell.a", "sample.name"], ["sample.cell.a", "sample.name"], [], ["energy"])
    assert (first, second) == (True, False)
    assert after == ["energy", "sample.name"]


def test_numbers_grow():
    def work(store):
        store.increment("count")
        store.increment("count", 2)
        store.increment("dose", 0.5)
        return store.get("count"), store.get("dose")

    assert result_of(work) == (3, 0.5)


def test_a_state_changes_hands_once():
    def work(store):
        return (
            store.compare_and_set("state", None, "idle"),
            store.compare_and_set("state", None, "busy"),
            store.compare_and_set("state", "idle", {"by": "me", "since": [1, 2]}),
            store.compare_and_set("state", {"since": [1, 2], "by": "me"}, "idle"),
        )

    assert result_of(work) == (True, False, True, True)


def test_changes_by_a_name_of_ones_own_count_once():
    def work(store):
        for _ in range(3):
            store.push("frames", "a", once="frame 1")
            store.increment("count", once="frame 1")
        store.push("frames", "b", once=True)
        store.push("frames", "b", once=True)
        return store.get("frames"), store.get("count")

    assert result_of(work) == (["a", "b", "b"], 1)


def test_large_values_and_their_parts_are_stored():
    def work(store):
        image = np.arange(1_000_000.0).reshape(1000, 1000)
        store.set("scan", {"image": image, "text": "x" * 100_000, "list": list(range(20_000))})
        store.push("images", image)
        store.push("images", image + 1)
        return (
            store.get("scan.image").sum() == image.sum(),
            [each[0, 0] for each in store.get("images")],
            len(store.get("scan")["text"]),
            store.get("scan.list")[-1],
        )

    assert result_of(work) == (True, [0.0, 1.0], 100_000, 19_999)


def test_the_sections_are_apart():
    def work(store):
        store.set("note", "mine", section=DataStoreDocumentSection.Meta)
        return (
            store.get("note"),
            store.get("note", section=DataStoreDocumentSection.Meta),
            store.get("note", section="meta"),
        )

    assert result_of(work) == (None, "mine", "mine")


@pytest.mark.parametrize("key", ["", ".", "a..b", 5, None, ("a",), "x" * 1_000_000])
def test_a_key_that_cannot_be_is_refused_and_nothing_is_harmed(key):
    def work(store):
        store.set("a", 1)
        try:
            store.set(key, 2)
        except Exception as error:  # noqa: BLE001 - it is looked at
            return type(error).__name__, str(error), store.get("a"), store.keys()

    kind, message, a, keys = result_of(work)
    assert kind == "StoreTypeError"
    assert "key" in message
    assert len(message) < 500
    assert (a, keys) == (1, ["a"])


Point = namedtuple("Point", "x y")
CYCLIC: list = [1]
CYCLIC.append(CYCLIC)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        {"": 1},
        {"a.b": 1, "$c": 2, "": {}},
        {1: "a", "1": "b"},
        {"nested": [{"deep": [(), set(), frozenset({1})]}]},
        Point(1, 2),
        OrderedDict(b=1, a=2),
        2**200,
        -0.0,
        math.inf,
        b"\x00" * 10_000,
        range(3),
        [1, "a", None, [2.5, [True]]],
        "ü\x00\udc80",
        lambda x: x + 1,
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_comes_back_as_it_was(value):
    def work(store):
        store.set("a.value", value)
        store.push("list", value)
        return store.get("a.value"), store.get("list")[0], store.get("a")["value"]

    for back in result_of(work):
        if callable(value):
            assert back(1) == 2
        else:
            assert back == value
            assert type(back) is type(value)


def test_values_without_end_and_deep_ones_come_back():
    def work(store):
        deep = {}
        for _ in range(150):
            deep = {"below": deep}
        store.set("cyclic", CYCLIC)
        store.set("deep", deep)
        store.set("nan", math.nan)
        cyclic, deep, depth = store.get("cyclic"), store.get("deep"), 0
        while deep:
            deep, depth = deep["below"], depth + 1
        return cyclic[1][1][1][0], depth, math.isnan(store.get("nan"))

    assert result_of(work) == (1, 150, True)


@pytest.mark.parametrize("name", ["file", "generator", "lock", "too deep"])
def test_what_cannot_be_stored_is_refused_with_its_key_and_type(name):
    def work(store):
        import threading

        with open(__file__) as file:  # noqa: PTH123 - an open file is what is wanted
            deep = []
            for _ in range(50_000):
                deep = [deep]
            values = {"too deep": deep, "file": file, "generator": (x for x in ()), "lock": threading.Lock()}
            store.set("good", 1)
            try:
                store.set("some.key", {"part": [values[name]]})
            except Exception as error:  # noqa: BLE001 - it is looked at
                return type(error).__name__, str(error), store.keys()

    kind, message, keys = result_of(work)
    assert kind == "NotShippable"
    assert "'some.key'" in message
    assert keys == ["good"]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates(),
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=5), below, max_size=4) | st.tuples(below, below)
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(values=st.dictionaries(st.text(max_size=6), PLAIN, max_size=4))
def test_whatever_is_stored_is_there_or_refused(values):
    def work(store):
        stored = {}
        for key, value in values.items():
            try:
                store.set(key, value)
            except Exception as error:  # noqa: BLE001 - it is looked at
                assert "key" in str(error)  # noqa: PT017
            else:
                stored[key] = value
        return [(store.get(key), value) for key, value in stored.items() if not overlaps(key, stored)]

    for back, value in result_of(work):
        assert back == value
        assert type(back) is type(value)


def overlaps(key, others):
    return any(key != other and (other.startswith(f"{key}.") or key.startswith(f"{other}.")) for other in others)
