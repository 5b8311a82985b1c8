"""A store and a slow, obvious model of it go through the same, and agree at each step."""

import itertools
from copy import deepcopy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nflow.errors import StoreTypeError
from nflow.wire.values import inline
from tests.store.test_contract import plain

_runs = itertools.count()

KEYS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)
LEAVES = st.integers(-3, 3) | st.sampled_from([1.5, "x", None])
VALUES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("ab"), below, max_size=2)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, VALUES),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("extend"), KEYS, st.lists(LEAVES, max_size=3)),
        st.tuples(st.just("increment"), KEYS, st.sampled_from([1, 2, -1.5])),
        st.tuples(st.just("compare"), KEYS, VALUES, VALUES),
        st.tuples(st.just("compare_right"), KEYS, VALUES),
    ),
    max_size=12,
)


class Model:
    """A dict."""

    def __init__(self):
        self.root = {}

    def get(self, key):
        there = self.root
        for part in key.split("."):
            if not isinstance(there, dict) or part not in there:
                return None
            there = there[part]
        return there

    def set(self, key, value):
        self.check_parents(key)
        *path, last = key.split(".")
        there = self.root
        for part in path:
            there = there.setdefault(part, {})
        there[last] = deepcopy(value)

    def delete(self, key):
        parent, last = self.parent(key)
        if not isinstance(parent, dict) or last not in parent:
            return False
        del parent[last]
        above = key.rpartition(".")[0]
        if above and not parent:
            self.delete(above)
        return True

    def extend(self, key, values):
        self.check_parents(key)
        there = self.get(key)
        if not isinstance(there, list) and self.has(key):
            raise StoreTypeError(key)
        self.set(key, [*(there or []), *values])

    def increment(self, key, by):
        self.check_parents(key)
        there = self.get(key)
        if self.has(key) and type(there) not in (int, float):
            raise StoreTypeError(key)
        self.set(key, (there or 0) + by)

    def compare(self, key, expected, value):
        if self.get(key) != expected or not same_types(self.get(key), expected):
            return False
        self.set(key, value)
        return True

    def parent(self, key):
        above, _, last = key.rpartition(".")
        return (self.get(above) if above else self.root), last

    def has(self, key):
        parent, last = self.parent(key)
        return isinstance(parent, dict) and last in parent

    def check_parents(self, key):
        parts = key.split(".")
        for end in range(1, len(parts)):
            above = ".".join(parts[:end])
            if self.has(above) and not isinstance(self.get(above), dict):
                raise StoreTypeError(above)


def same_types(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return all(same_types(a[key], b[key]) for key in a)
    return not isinstance(a, list) or all(map(same_types, a, b))


def tree(value):
    if isinstance(value, dict):
        return {key: tree(each) for key, each in value.items()}
    return [tree(each) for each in value] if isinstance(value, list) else inline(value)


async def outcome_of(act):
    try:
        return await act
    except StoreTypeError:
        return StoreTypeError


def outcome(act, *arguments):
    try:
        return act(*arguments)
    except StoreTypeError:
        return StoreTypeError


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_a_store_agrees_with_a_dict(stores, steps):
    run, model = f"model{next(_runs)}", Model()

    for (kind, key, *rest), store in zip(steps, itertools.cycle(stores), strict=False):
        match kind, rest:
            case "set", [value]:
                assert await outcome_of(store.set(run, key, tree(value))) == outcome(model.set, key, value)
            case "delete", []:
                assert await store.delete(run, key) == model.delete(key)
            case "extend", [values]:
                assert await outcome_of(store.extend(run, key, tree(values))) == outcome(model.extend, key, values)
            case "increment", [by]:
                assert await outcome_of(store.increment(run, key, by)) == outcome(model.increment, key, by)
            case "compare", [expected, value]:
                done = await outcome_of(store.compare_and_set(run, key, tree(expected), tree(value)))
                assert done == outcome(model.compare, key, expected, value)
            case "compare_right", [value]:
                expected = model.get(key)
                done = await outcome_of(
                    store.compare_and_set(run, key, None if expected is None else tree(expected), tree(value))
                )
                assert done == outcome(model.compare, key, expected, value)
        assert plain(await store.get(run, key)) == model.get(key)

    assert plain(await stores[0].whole(run)) == model.root


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.complex_numbers(allow_nan=False),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(max_size=5), below, max_size=3)
        | st.tuples(below, below)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=8,
)


def whole(value):
    """As a task sends it: dicts and lists can be reached into, all else is a value."""
    if type(value) is dict:
        return {key: whole(each) for key, each in value.items()}
    return [whole(each) for each in value] if type(value) is list else inline(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(max_size=8), value=ANYTHING)
async def test_whatever_is_stored_comes_back_equal_or_is_refused_by_its_key(store, key, value):
    run = f"any{next(_runs)}"
    try:
        await store.set(run, key, whole(value))
    except StoreTypeError as refusal:
        assert "key" in str(refusal)  # noqa: PT017 - of what is refused the words are looked at
        assert await store.whole(run) == {}
        return

    back = plain(await store.get(run, key))
    assert back == value
    assert type(back) is type(value)
