"""A failure that spares all but its successors."""

from ledger import Planned, noted, step, toil

from nflow.models import Dag
from nflow.tasks import PythonTask


def fail(data, store, signal, context):
    with noted(context):
        toil(0.3)
        raise Planned("this branch was made to fail")


first, fails, good = PythonTask("first", step), PythonTask("fails", fail), PythonTask("good", step)

main = Dag("main", on_failure="skip_successors")
main.define({first: [fails, good], fails: PythonTask("never", step), good: PythonTask("last", step)})
