"""A task that waits in a queue of its own, as does the dag."""

from nflow.models import Dag
from nflow.tasks import PythonTask


def speak(data, store, signal, context):
    print("on the other side")


first = PythonTask(name="first", callback=speak, queue="gpu")

dag = Dag("main", queue="edge")
dag.define({first: None})
