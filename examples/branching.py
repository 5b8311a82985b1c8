"""A task that lets some of its successors run and skips the others; the join does not mind.

    nflow run examples/branching.py

                                 ┌──▶ lane1_print_task ──┐
        put_task ──▶ branch_task ┼──▶ lane2_print_task ──┼──▶ t_join_me
                                 └──▶ lane3_print_task ──┘

`branch_task` names the lanes that it wants. The third one is skipped: it prints nothing, and the summary counts it. The
join runs as soon as all lanes are settled, because two of them let it; it gets the data of these two.
"""

from nflow.models import Action, Dag
from nflow.tasks import PythonTask


def put_value(data, store, signal, context):
    """Begin with the number five."""
    data["value"] = 5


def choose_lanes(data, store, signal, context):
    """Of the successors let only two run. Name a task by itself or by its name, whichever is at hand."""
    return Action(data, limit=[lane1_print_task, "lane2_print_task"])


def print_value(data, store, signal, context):
    """Show the number that arrived, and which task each dataset comes from."""
    senders = [dataset.task_history[-1] for dataset in data]
    print(f"Task {context.task_name} and value {data['value']}, received from {', '.join(senders)}")


put_task = PythonTask(name="put_task", callback=put_value)
branch_task = PythonTask(name="branch_task", callback=choose_lanes)
lane1_print_task = PythonTask(name="lane1_print_task", callback=print_value)
lane2_print_task = PythonTask(name="lane2_print_task", callback=print_value)
lane3_print_task = PythonTask(name="lane3_print_task", callback=print_value)
join_task = PythonTask(name="t_join_me", callback=print_value)

dag = Dag("main_dag")
dag.define(
    {
        put_task: branch_task,
        branch_task: [lane1_print_task, lane2_print_task, lane3_print_task],
        lane1_print_task: join_task,
        lane2_print_task: join_task,
        lane3_print_task: join_task,
    }
)
