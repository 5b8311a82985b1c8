"""Three tasks in a row: each counts one further and hands the count on.

    nflow run examples/sequence.py

The first task finds no count in its data and begins at zero. What a task leaves in `data` is what the next one gets.
"""

from nflow.models import Dag
from nflow.tasks import PythonTask


def count_up(data, store, signal, context):
    """Add one to the count and say where this task runs."""
    if "value" not in data:
        data["value"] = 0
    data["value"] += 1
    print(f"Task {context.task_name} of {context.dag_name} runs on {context.worker_hostname}.")
    print(f"This is task #{data['value']}")


task_1 = PythonTask(name="task_1", callback=count_up)
task_2 = PythonTask(name="task_2", callback=count_up)
task_3 = PythonTask(name="task_3", callback=count_up)

dag = Dag("main_dag")
dag.define({task_1: task_2, task_2: task_3})
