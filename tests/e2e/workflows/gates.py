"""What tasks of these workflows do when they begin. It is found because it lies beside them."""

import fcntl
import os
from pathlib import Path


def begin(store, context):
    """Note that a task begins, say so, and wait for its gate where there is one."""
    folder = Path(store.get("folder"))
    with (folder / "ledger").open("a") as ledger:
        ledger.write(f"{context.task_name} {os.getpid()}\n")
    print(f"{context.task_name} begins")
    gate = folder / f"{context.task_name}.gate"
    if gate.exists():
        with gate.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
