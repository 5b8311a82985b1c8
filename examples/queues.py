"""Work that must run on certain machines: a queue for the run, one for the dag, one for each kind of task.

    nflow run -q main examples/queues.py

serves all these queues by itself, so that a workflow can be tried anywhere. At a site each worker serves the queues
that its machine is good for. Start one that decides, one for plain tasks, and one where there is much memory:

    nflow worker -q main,graph
    nflow worker -q task
    nflow worker -q high_memory

and then, from anywhere, with `--no-work` so that this computer does nothing itself:

    nflow run --no-work -q main examples/queues.py

Leave out the last worker, and the second task waits until somebody starts it.
"""

from nflow.models import Dag
from nflow.tasks import PythonTask


def say_where(data, store, signal, context):
    """Tell which task this is, and where it runs."""
    print(f"Task {context.task_name} of {context.dag_name} runs on {context.worker_hostname}.")


#: Without a queue of its own a task waits in the queue `task`.
print_task = PythonTask(name="print_task", callback=say_where)
print_memory_task = PythonTask(name="print_memory_task", callback=say_where, queue="high_memory")

#: A worker that serves this queue drives the dag: it decides what comes next, and takes hardly any time to do so.
dag = Dag("main_dag", queue="graph")
dag.define({print_task: print_memory_task})
