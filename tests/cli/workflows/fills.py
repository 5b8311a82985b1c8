"""Fills its store with values of many kinds, and fails if it is told to."""

import numpy as np
from instrument import Reading

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("fail", default=False, type=bool)])


def fill(data, store, signal, context):
    store.update(
        {
            "sample.name": "LaB6",
            "sample.energy": 12.4,
            "frame": np.arange(100_000.0).reshape(100, 1000),
            "matrix": np.eye(2),
            "raw": b"\x00\x01",
            "wave": 1j,
            "nothing": float("nan"),
        }
    )
    store.push("log", "first")
    store.push("log", "second")
    if store.get("fail"):
        raise ValueError("no beam")


def read(data, store, signal, context):
    store.set("reading", Reading())


first, second = PythonTask(name="fill", callback=fill), PythonTask(name="read", callback=read)
dag = Dag("main")
dag.define({first: second})
