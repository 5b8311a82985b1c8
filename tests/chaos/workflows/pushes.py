"""Tasks that push to one list and add to one number, at the same time; the last one counts."""

from ledger import noted, toil

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask

WIDTH, TIMES = 4, 5


def push(data, store, signal, context):
    with noted(context):
        for number in range(TIMES):
            store.push("pushed", f"{context.task_name} {number}", once=True)
            store.increment("count", once=True)
            toil(0.05)


def judge(data, store, signal, context):
    with noted(context):
        pushed, count = store.get("pushed"), store.get("count")
        expected = {f"push{number} {step}" for number in range(WIDTH) for step in range(TIMES)}
        if len(pushed) != len(expected) or set(pushed) != expected or count != len(expected):
            raise RuntimeError(f"pushed {len(pushed)}, counted {count}: {sorted(pushed)}")


last = PythonTask("judge", judge)

main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define({PythonTask(f"push{number}", push): last for number in range(WIDTH)})
