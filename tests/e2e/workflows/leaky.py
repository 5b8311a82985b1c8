"""A task that leaves its process fat, and one that comes after it."""

import os
import sys

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder"), Option("megabytes", type=int)])


def leak(data, store, signal, context):
    sys.leaked = b"x" * (store.get("megabytes") * 1024**2)
    data["pid"] = os.getpid()


def follow(data, store, signal, context):
    print("the same process" if data["pid"] == os.getpid() else "another process")


dag = Dag("main")
dag.define({PythonTask("leak", leak): PythonTask("follow", follow)})
