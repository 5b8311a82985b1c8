"""Two tasks that tell when they are held up, and go on when the test lets them; both fail once."""

import fcntl
from pathlib import Path

from nflow.models import Dag, Option, Parameters, Retry
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="with a pipe to tell the test, and files that are locked")])


def hold(data, store, signal, context):
    folder = Path(store.get("folder"))
    number = len(list(folder.glob("began-*"))) + 1
    (folder / f"began-{number}").touch()
    with (folder / "told").open("w") as told:
        told.write(f"{context.task_name} {number}")
    with (folder / f"gate{number}").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
    if number in (1, 3):
        raise RuntimeError(f"no beam in step {number}")


first = PythonTask(name="first", callback=hold, retry=Retry(attempts=2, pause=0))
second = PythonTask(name="second", callback=hold)

dag = Dag("main")
dag.define({first: second})
