"""A program that would never end, were it not for what it says."""

from nflow.models import Dag, StopTask
from nflow.tasks import BashTask, PythonTask


def enough(line, data, store, signal, context):
    print(line.strip())
    raise StopTask("enough")


dag = Dag("main_dag")
dag.define({BashTask("endless", "while true; do echo more; done", callback_stdout=enough): PythonTask("never")})
