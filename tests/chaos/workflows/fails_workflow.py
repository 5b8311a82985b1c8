"""A failure that stops the whole run."""

from ledger import Planned, noted, step, toil

from nflow.models import Dag
from nflow.tasks import PythonTask


def fail(data, store, signal, context):
    with noted(context):
        toil(0.3)
        raise Planned("this run was made to fail")


first, fails = PythonTask("first", step), PythonTask("fails", fail)

main = Dag("main")
main.define({first: [fails, PythonTask("beside", step)], fails: PythonTask("never", step)})
