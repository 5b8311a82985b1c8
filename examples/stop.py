"""Tasks that end early, and well: StopTask, with and without the successors.

    nflow run examples/stop.py

                   ┌──▶ bash_task ─────────▶ print_task_1      skipped
        start_task ┼──▶ stop_noskip_task ──▶ print_task_2      runs
                   └──▶ stop_task ─────────▶ print_task_3      skipped

A task that has seen enough raises StopTask, from its own code or from any callback. The run goes on and succeeds. What
follows on the task is skipped unless it says `skip_successors=False`. The program of `bash_task` would count to ten and
then wait for an hour; it is ended at its fifth line.
"""

from nflow.models import Dag, StopTask
from nflow.tasks import BashTask, PythonTask


def say_start(data, store, signal, context):
    """Begin all three paths."""
    print(f"Starting {context.dag_name}")


def read_until_five(line, data, store, signal, context):
    """Look at each line of the program, and leave it at the fifth."""
    if int(line) == 5:
        raise StopTask("Reached line number 5")
    print(f"Content of current line is {line.rstrip()}")


def stop_alone(data, store, signal, context):
    """End this task and let the next one run."""
    raise StopTask(f"Stop {context.task_name} but not its successors", skip_successors=False)


def stop_path(data, store, signal, context):
    """End this task and skip what would follow on it."""
    raise StopTask(f"Stop {context.task_name} and its successors")


def say_name(data, store, signal, context):
    """Tell which task this is."""
    print(f"Task {context.task_name} runs in {context.dag_name} of workflow {context.workflow_name}.")


start_task = PythonTask(name="start_task", callback=say_start)
bash_task = BashTask(name="bash_task", command="seq 1 10; sleep 3600", callback_stdout=read_until_five)
stop_noskip_task = PythonTask(name="stop_noskip_task", callback=stop_alone)
stop_task = PythonTask(name="stop_task", callback=stop_path)
print_task_1 = PythonTask(name="print_task_1", callback=say_name)
print_task_2 = PythonTask(name="print_task_2", callback=say_name)
print_task_3 = PythonTask(name="print_task_3", callback=say_name)

dag = Dag("main_dag")
dag.define(
    {
        start_task: [bash_task, stop_noskip_task, stop_task],
        bash_task: print_task_1,
        stop_noskip_task: print_task_2,
        stop_task: print_task_3,
    }
)
