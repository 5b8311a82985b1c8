"""A task that needs a module which not every machine has."""

import far_away

from nflow.models import Dag
from nflow.tasks import PythonTask


def speak(data, store, signal, context):
    far_away.speak()


dag = Dag("main")
dag.define({PythonTask(name="first", callback=speak): None})
