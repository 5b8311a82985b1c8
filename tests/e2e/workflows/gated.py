"""Three tasks in a row. Each notes that it begins, then waits for its gate where there is one."""

import fcntl
from pathlib import Path

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger and the gates are.")])


def work(data, store, signal, context):
    folder = Path(store.get("folder"))
    with (folder / "ledger").open("a") as ledger:
        ledger.write(f"{context.task_name}\n")
    print(f"{context.task_name} begins")
    gate = folder / f"{context.task_name}.gate"
    if gate.exists():
        with gate.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
    data["path"] = [*(data["path"] if "path" in data else ()), context.task_name]
    print(f"{context.task_name} ends")


first, second, third = (PythonTask(name, work) for name in ("first", "second", "third"))

main = Dag("main")
main.define({first: second, second: third})
