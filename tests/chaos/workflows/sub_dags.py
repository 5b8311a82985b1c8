"""A task that starts three runs of another dag and waits for them; the next one looks at what they left."""

from ledger import noted, step, toil

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask


def start_all(data, store, signal, context):
    with noted(context):
        names = []
        for number in range(3):
            data["number"] = number
            names.append(signal.start_dag("sub", data=data))
        signal.join_dags(names)


def leave(data, store, signal, context):
    with noted(context):
        toil(0.3)
        store.set(f"left.{data['number']}", data["path"])


def judge(data, store, signal, context):
    with noted(context):
        left = store.get("left")
        if left != {str(number): ["first"] for number in range(3)}:
            raise RuntimeError(f"they left {left}")


main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define({PythonTask("start_all", start_all): PythonTask("judge", judge)})

sub = Dag("sub", autostart=False, retry=Retry(attempts=5, pause=0.1))
sub.define({PythonTask("first", step): PythonTask("leave", leave)})
