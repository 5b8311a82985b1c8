"""Two tasks in a row."""

from nflow.models import Dag
from nflow.tasks import PythonTask


def speak(data, store, signal, context):
    print(f"{context.task_name} speaks")


first = PythonTask(name="first", callback=speak)
second = PythonTask(name="second", callback=speak)

dag = Dag("main")
dag.define({first: second})
