"""A failure that stops its dag and spares the other one."""

from ledger import Planned, noted, step, toil

from nflow.models import Dag, Retry
from nflow.tasks import PythonTask


def fail(data, store, signal, context):
    with noted(context):
        toil(0.3)
        raise Planned("this dag was made to fail")


fails = PythonTask("fails", fail, on_failure="stop_dag")

failing = Dag("failing")
failing.define({fails: PythonTask("never", step)})

spared = Dag("spared", retry=Retry(attempts=5, pause=0.1))
spared.define({PythonTask("one", step): PythonTask("two", step)})
