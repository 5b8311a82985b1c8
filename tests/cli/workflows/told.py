"""A workflow that has to be told something."""

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("iterations", help="how often", type=int), Option("name", default="x")])


def speak(data, store, signal, context):
    print(store.get("iterations"), store.get("name"))


first = PythonTask(name="first", callback=speak)

dag = Dag("main")
dag.define({first: None})
