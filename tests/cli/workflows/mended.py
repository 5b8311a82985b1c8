"""A chain whose second task fails until there is a file; who knows what the others did?"""

from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("cause", default="cause"), Option("limit", default=3, type=int)])


def first(data, store, signal, context):
    print("first runs")
    data["number"] = 41


def second(data, store, signal, context):
    if not Path(store.get("cause")).exists():
        raise FileNotFoundError(store.get("cause"))
    print(f"second runs, limit {store.get('limit') + 0}")


def third(data, store, signal, context):
    print(f"third got {data['number']}")


tasks = [PythonTask(callback.__name__, callback) for callback in (first, second, third)]

dag = Dag("main")
dag.define({tasks[0]: tasks[1], tasks[1]: tasks[2]})
