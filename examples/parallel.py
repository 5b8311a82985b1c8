"""One task fans out into three that run side by side; a last one waits for all of them.

    nflow run examples/parallel.py

A list of children makes lanes that do not wait for each other. The join starts when the last lane has ended. The
lanes may print in another order each time.
"""

from nflow.models import Dag
from nflow.tasks import PythonTask


def say_name(data, store, signal, context):
    """Tell which task this is, and which tasks its data came through."""
    print(f"Task {context.task_name} runs in {context.dag_name} of workflow {context.workflow_name}.")
    for dataset in data:
        print(f"  {context.task_name} has data that passed through: {', '.join(dataset.task_history) or 'nothing'}")


branch_task = PythonTask(name="branch_task", callback=say_name)
lane1_task = PythonTask(name="lane1_task", callback=say_name)
lane2_task = PythonTask(name="lane2_task", callback=say_name)
lane3_task = PythonTask(name="lane3_task", callback=say_name)
join_task = PythonTask(name="join_task", callback=say_name)

dag = Dag("main_dag")
dag.define(
    {
        branch_task: [lane1_task, lane2_task, lane3_task],
        lane1_task: join_task,
        lane2_task: join_task,
        lane3_task: join_task,
    }
)
