"""A task whose output cannot be sent to another process."""

import threading

from nflow.models import Dag
from nflow.tasks import PythonTask


def make(data, store, signal, context):
    data["lock"] = threading.Lock()


dag = Dag("main")
dag.define({PythonTask(name="make", callback=make): None})
