"""Two tasks in a row, each held up for as long as the test holds a lock."""

import fcntl
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("gate", help="a file that is locked")])


def wait(data, store, signal, context):
    print(f"{context.task_name} begins", flush=True)
    with Path(store.get("gate")).open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
    print(f"{context.task_name} ends")


first = PythonTask(name="first", callback=wait)
second = PythonTask(name="second", callback=wait)

dag = Dag("main")
dag.define({first: second})
