"""Globals of a workflow file: each task has its own, as they were when the file was read."""

from random import random

from nflow.models import Dag
from nflow.tasks import PythonTask

counter = 0
seen = []


def count(data, store, signal, context):
    global counter  # noqa: PLW0603 - it is what this workflow is about
    counter += 1
    seen.append(context.task_name)
    print(counter, seen)
    store.push("drawn", random())


def compare(data, store, signal, context):
    print(len(store.get("drawn")), "draws,", len(set(store.get("drawn"))), "number")


tasks = [PythonTask(f"task_{number}", count) for number in range(3)]

dag = Dag("main_dag")
dag.define({tasks[0]: tasks[1], tasks[1]: tasks[2], tasks[2]: PythonTask("compare", compare)})
