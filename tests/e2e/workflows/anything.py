"""Stores whatever people store, and some things that they cannot, and says what came of each."""

import math
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Not needed here.")])


def nested(depth):
    value = "the innermost"
    for _ in range(depth):
        value = [value]
    return value


def innermost(value):
    while isinstance(value, list):
        value = value[0]
    return value


def store_all(data, store, signal, context):
    cyclic = [1]
    cyclic.append(cyclic)
    same = {
        "empty": [{}, [], "", b"", None],
        "odd keys": {"": 1, "a.b": 2, "$set": 3, "größe": 4, "\0": 5},
        "numbers": [2**63, 2**200, -0.0, math.inf, 1e-320],
        "texts": ["ü\x00", "\udc80", "x" * 100_000],
        "others": [(1, 2), {3}, frozenset(), 1j, Path("a"), range(3)],
        "number keys": {1: "a", "1": "b"},
    }
    for name, value in same.items():
        store.set(f"{name}.value", value)
        store.push(f"{name}.list", value)
        ok = store.get(f"{name}.value") == value and store.get(f"{name}.list") == [value]
        print(name, "comes back" if ok else f"comes back as {store.get(name)!r}")
    store.update({"nan": math.nan, "lambda": lambda x: x + 1, "cyclic": cyclic, "deep": nested(200)})
    back = store.get("cyclic")
    print(math.isnan(store.get("nan")), store.get("lambda")(1), back[1][1][0], innermost(store.get("deep")))
    with Path(__file__ if "__file__" in globals() else "/dev/null").open() as file:
        refused = {"file": file, "generator": (x for x in ()), "far too deep": nested(50_000)}
        for name, value in refused.items():
            tell(name, lambda name=name, value=value: store.set(f"refused.{name}", [value]))
    for key in ("", ".", "a..b", 5, "x" * 1_000_000, ".".join("x" * 50)):
        tell(str(key)[:5], lambda key=key: store.set(key, 1))
    print(sorted(store.get("refused", {})), store.get("empty.value") == same["empty"])


def tell(name, act):
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        words = str(error)
        names_it = "key" in words or name in words
        print(f"{name!r} is refused: {type(error).__name__}, {len(words) < 1000}, {names_it}")


dag = Dag("main")
dag.define({PythonTask("store_all", store_all): None})
