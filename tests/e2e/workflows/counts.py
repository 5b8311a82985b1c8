"""Many tasks that push to one list and add to one counter; one of them halts half way, at a gate of its own."""

import os
from types import SimpleNamespace

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

TASKS = int(os.environ.get("TASKS", "8"))
CHANGES = int(os.environ.get("CHANGES", "20"))

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gate are."),
        Option("changes", default=CHANGES, type=int, help="How many of each kind a task makes."),
    ]
)


def work(data, store, signal, context):
    changes = store.get("changes")
    for number in range(changes):
        store.push("results", [context.task_name, number], once=True)
        store.increment("count", once=True)
        if context.task_name == "work_1" and number == changes // 2:
            begin(store, SimpleNamespace(task_name="half_way"))


def tell(data, store, signal, context):
    wanted = list(range(store.get("changes")))
    by_task = {}
    for task, number in store.get("results"):
        by_task.setdefault(task, []).append(number)
    in_order = sum(numbers == wanted for numbers in by_task.values())
    print(f"{store.get('count')} counted, {in_order} of {len(by_task)} tasks in order")


main = Dag("main")
main.define(dict.fromkeys([PythonTask(f"work_{number}", work) for number in range(TASKS)], PythonTask("tell", tell)))
