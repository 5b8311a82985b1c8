"""A task that fails, and one that never comes to its turn."""

from nflow.models import Dag
from nflow.tasks import PythonTask


def divide(by):
    return 1 / by


def fail(data, store, signal, context):
    divide(by=0)


first = PythonTask(name="first", callback=fail)
second = PythonTask(name="second", callback=fail)

dag = Dag("main")
dag.define({first: second})
