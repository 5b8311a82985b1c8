"""Two tasks, one value: what the first puts into its data, the second finds there.

    nflow run examples/simple.py

This is the whole of a workflow: functions, a task for each, and a dag that says which task follows which. Every
function takes the same four arguments. Of these `data` matters here: it travels from task to task.
"""

from nflow.models import Dag
from nflow.tasks import PythonTask


def put_value(data, store, signal, context):
    """Leave a number for whoever comes next."""
    print(f"Task {context.task_name} runs in {context.dag_name} of workflow {context.workflow_name}.")
    data["value"] = 5


def print_value(data, store, signal, context):
    """Show the number that arrived."""
    print(f"The value is: {data['value']}")


put_task = PythonTask(name="put_task", callback=put_value)
print_task = PythonTask(name="print_task", callback=print_value)

dag = Dag("main_dag")
dag.define({put_task: print_task})
