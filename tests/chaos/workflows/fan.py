"""One task, eight behind it, and one that joins them."""

from ledger import noted, toil

from nflow.models import Dag
from nflow.tasks import PythonTask

WIDTH = 8


def begin(data, store, signal, context):
    with noted(context):
        data["number"] = 1


def count(data, store, signal, context):
    with noted(context):
        toil(0.3)
        data[context.task_name] = data["number"] + 1


def join(data, store, signal, context):
    with noted(context):
        total = sum(data(f"part{number}")[f"part{number}"] for number in range(WIDTH))
        if total != 2 * WIDTH:
            raise RuntimeError(f"the sum was {total}")


first, last = PythonTask("begin", begin), PythonTask("join", join)
parts = [PythonTask(f"part{number}", count) for number in range(WIDTH)]

main = Dag("main")
main.define({first: parts, **dict.fromkeys(parts, last)})
