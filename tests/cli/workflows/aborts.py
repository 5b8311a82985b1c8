"""A task that stops the whole run."""

from nflow.models import AbortWorkflow, Dag
from nflow.tasks import PythonTask


def abort(data, store, signal, context):
    raise AbortWorkflow("the beam is down")


first = PythonTask(name="first", callback=abort)

dag = Dag("main")
dag.define({first: None})
