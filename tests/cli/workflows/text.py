"""A workflow that is told a text, and says how long it is."""

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("text"), Option("ballast", default="")])


def tell(data, store, signal, context):
    text = store.get("text")
    print(len(text), repr(text[:20]))


dag = Dag("main")
dag.define({PythonTask(name="tell", callback=tell): None})
