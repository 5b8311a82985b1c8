"""Dotted keys in trees of references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nflow.core.dataset import INLINE, Ref
from nflow.errors import StoreTypeError
from nflow.store.tree import extend, parts_of, put, reach


def ref(number):
    return Ref(scheme=INLINE, where=bytes([number]), size_bytes=1, digest="", type="int")


ONE, TWO = ref(1), ref(2)
PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


def test_a_key_has_parts():
    assert parts_of("a.b.c") == ["a", "b", "c"]


@pytest.mark.parametrize("key", ["", ".", "a.", ".a", "a..b", 5, None])
def test_a_key_with_an_empty_part_is_none(key):
    with pytest.raises(StoreTypeError):
        parts_of(key)


def test_what_is_not_there_is_none():
    assert reach(None, ["a"]) is None
    assert reach({"a": ONE}, ["a", "b"]) is None
    assert reach({"a": ONE}, ["b"]) is None
    assert reach([ONE], ["0"]) is None


def test_putting_makes_the_path_and_leaves_the_rest():
    tree = put({"x": ONE}, ["a", "b"], TWO)

    assert tree == {"x": ONE, "a": {"b": TWO}}


def test_nothing_can_be_put_below_a_value():
    with pytest.raises(StoreTypeError, match="below a value"):
        put({"a": ONE}, ["a", "b"], TWO)


def test_pushing_makes_the_list_and_appends_to_it():
    tree = extend(None, ["a", "b"], [ONE])
    tree = extend(tree, ["a", "b"], [TWO, TWO])

    assert reach(tree, ["a", "b"]) == [ONE, TWO, TWO]


@pytest.mark.parametrize("there", [ONE, {"c": ONE}])
def test_nothing_can_be_pushed_to_what_is_no_list(there):
    with pytest.raises(StoreTypeError, match="no list"):
        extend({"a": there}, ["a"], [TWO])


@given(puts=st.lists(st.tuples(PARTS, st.integers(0, 255)), max_size=12))
def test_what_was_put_last_is_there_and_older_trees_are_as_they_were(puts):
    trees = [None]
    for parts, number in puts:
        before = repr(trees[-1])
        try:
            trees.append(put(trees[-1], parts, ref(number)))
        except StoreTypeError:
            continue
        assert reach(trees[-1], parts) == ref(number)
        assert repr(trees[-2]) == before
