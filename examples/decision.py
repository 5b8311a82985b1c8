"""A fork in the road: what a task measures decides which way the run goes.

    nflow run examples/decision.py

The number is a random one: run it a few times, and see now the one task print, now the other. The way not taken is
skipped, with all that would follow on it.
"""

import random

from nflow.models import Action, Dag
from nflow.tasks import PythonTask


def measure_and_decide(data, store, signal, context):
    """Take a number between 0 and 1 and choose the task that is made for it."""
    data["number"] = random.random()
    return Action(data, limit=[small_number_task if data["number"] < 0.5 else large_number_task])


def print_small_number(data, store, signal, context):
    """The one way."""
    print(f"Small number: {data['number']:.3f}")


def print_large_number(data, store, signal, context):
    """The other way."""
    print(f"Large number: {data['number']:.3f}")


decision_task = PythonTask(name="decision_task", callback=measure_and_decide)
small_number_task = PythonTask(name="small_number_task", callback=print_small_number)
large_number_task = PythonTask(name="large_number_task", callback=print_large_number)

dag = Dag("main_dag")
dag.define({decision_task: [small_number_task, large_number_task]})
