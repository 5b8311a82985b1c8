"""A file that starts a process when it is read, without a guard; that process reads the file again."""

import multiprocessing

from nflow.models import Dag
from nflow.tasks import PythonTask


def work():
    print("works")


child = multiprocessing.get_context("spawn").Process(target=work)
child.start()
child.join()


def speak(data, store, signal, context):
    print("speaks")


dag = Dag("main")
dag.define({PythonTask(name="first", callback=speak): None})
