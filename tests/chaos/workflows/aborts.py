"""A task that stops its run by itself."""

from ledger import note, step, toil

from nflow.models import AbortWorkflow, Dag
from nflow.tasks import PythonTask


def abort(data, store, signal, context):
    note("start", context)
    toil(0.2)
    raise AbortWorkflow("somebody must look")


main = Dag("main")
main.define({PythonTask("first", step): PythonTask("aborts", abort)})
