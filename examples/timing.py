"""How long did it take? A task reads what nflow has noted about the tasks before it.

    nflow run examples/timing.py

Beside the users' data the store has a section `meta`. Its `log` knows for every dag of the run and every task that has
begun: when, on which host, and, once it has ended, for how many seconds.
"""

import random
import time

from nflow.models import Dag, DataStoreDocumentSection
from nflow.tasks import PythonTask


def expose(data, store, signal, context):
    """Stand for an exposure of the detector: up to two tenths of a second."""
    time.sleep(random.uniform(0.05, 0.2))


def print_durations(data, store, signal, context):
    """Read the log of this dag. The task that reads is in it too, without an end."""
    tasks = store.get(f"log.{context.dag_name}.tasks", section=DataStoreDocumentSection.Meta)
    for name, entry in tasks.items():
        if "duration" in entry:
            print(f"{name} took {entry['duration']:.3f} seconds")
        else:
            print(f"{name} is still running")


sleep_task_1 = PythonTask(name="sleep_task_1", callback=expose)
sleep_task_2 = PythonTask(name="sleep_task_2", callback=expose)
sleep_task_3 = PythonTask(name="sleep_task_3", callback=expose)
print_task = PythonTask(name="print_task", callback=print_durations)

dag = Dag("main_dag")
dag.define({sleep_task_1: sleep_task_2, sleep_task_2: sleep_task_3, sleep_task_3: print_task})
