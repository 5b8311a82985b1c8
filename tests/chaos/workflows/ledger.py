"""What tasks of the chaos suite do beside their work. It is found because it lies beside the workflows.

Each execution leaves a line when its code begins and one when it has come to its end, in a file that outlives whatever
is killed: a line is written in one piece, behind all others.
"""

import os
import random
import time
from contextlib import contextmanager


class Planned(Exception):
    """A failure that the workflow was made for."""


class NotYet(Exception):
    """A failure that the next attempt is to mend."""


def note(what, context):
    """Leave a line."""
    fields = (what, f"{time.time():.6f}", context.workflow_id, context.dag_name, context.task_name)
    line = " ".join((*fields, str(os.getpid()), str(os.getppid()))) + "\n"
    file = os.open(os.environ["CHAOS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.close(file)


@contextmanager
def noted(context):
    """Note that the code of a task begins, and that it has come to its end, unless it raises something."""
    note("start", context)
    yield
    note("end", context)


def toil(longest):
    """Be at work for some time."""
    time.sleep(random.uniform(0.0, longest))


def step(data, store, signal, context):
    """A task that leaves its name behind those of the tasks before it."""
    with noted(context):
        toil(0.2)
        before = data["path"] if "path" in data else []  # noqa: SIM401 - it has no get
        data["path"] = [*before, context.task_name]
