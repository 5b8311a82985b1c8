"""A task that starts five runs of another dag, gives each an image, and waits for them.

    nflow run examples/sub_dag.py

The other dag does not start by itself (`autostart=False`). Each run of it has a name of its own: `sub_dag:1` to
`sub_dag:5`, which `start_dag` returns and `join_dags` waits for.
"""

import numpy as np

from nflow.models import Dag
from nflow.tasks import PythonTask


def say_name(data, store, signal, context):
    """Tell which task this is."""
    print(f"Task {context.task_name} runs in {context.dag_name} of workflow {context.workflow_name}.")


def start_sub_dags(data, store, signal, context):
    """Start the other dag five times, each time with a new image among its data."""
    names = []
    for _ in range(5):
        data["image"] = np.ones((100, 100))
        names.append(signal.start_dag(sub_dag, data=data))
    signal.join_dags(names)
    print(f"These have ended: {', '.join(names)}")


def show_shape(data, store, signal, context):
    """Print the dimensions of the image that arrived."""
    print(f"{context.dag_name} received an image with dimensions: {data['image'].shape}")


init_task = PythonTask(name="init_task", callback=say_name)
call_dag_task = PythonTask(name="call_dag_task", callback=start_sub_dags)
print_task = PythonTask(name="print_task", callback=show_shape)

main_dag = Dag("main_dag")
main_dag.define({init_task: call_dag_task})

sub_dag = Dag("sub_dag", autostart=False)
sub_dag.define({print_task: None})
