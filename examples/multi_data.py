"""Tasks with several inputs: how to tell the datasets apart.

    nflow run examples/multi_data.py

A task gets one dataset from each of its predecessors, in the order in which the schema names them. The first is the
default: `data["value"]` reads and writes there. The others are reached by their position, or by an alias: the name of
the predecessor, or the slot that the schema gives to the edge.

                  put_task (5) ─────┬──────────────┬─────────────────┐
                   │                │              │                 │
              print_task_1     square_task ──▶ multiply_task ──▶ subtract_task ──▶ print_task_4
                                    │              │
                               print_task_2   print_task_3
"""

from nflow.models import Dag
from nflow.tasks import PythonTask


def put(data, store, signal, context):
    """Begin with the number five."""
    data["value"] = 5


def show(data, store, signal, context):
    """Print the number that arrived."""
    print(f"{context.task_name}: The value is: {data['value']}")


def square(data, store, signal, context):
    """Multiply the number with itself: 25."""
    data["value"] **= 2


def multiply(data, store, signal, context):
    """Multiply the default dataset with the one after it, found by position: 5 * 25 = 125."""
    data["value"] *= data.get_by_index(1)["value"]


def subtract(data, store, signal, context):
    """Subtract, where order matters: the schema names the two edges. `data(...)` is short for `get_by_alias`."""
    data["value"] = data.get_by_alias("first")["value"] - data("second")["value"]


put_task = PythonTask(name="put_task", callback=put)
square_task = PythonTask(name="square_task", callback=square)
multiply_task = PythonTask(name="multiply_task", callback=multiply)
subtract_task = PythonTask(name="subtract_task", callback=subtract)

print_task_1 = PythonTask(name="print_task_1", callback=show)
print_task_2 = PythonTask(name="print_task_2", callback=show)
print_task_3 = PythonTask(name="print_task_3", callback=show)
print_task_4 = PythonTask(name="print_task_4", callback=show)

dag = Dag("main_dag")
dag.define(
    {
        put_task: {print_task_1: None, square_task: None, multiply_task: None, subtract_task: "first"},
        square_task: [print_task_2, multiply_task],
        multiply_task: {print_task_3: None, subtract_task: "second"},
        subtract_task: print_task_4,
    }
)
