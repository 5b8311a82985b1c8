"""A task with children: programs it has started, and a process it has forked."""

import os
import signal as signals
import subprocess

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger and the gates are.")])


def work(data, store, signal, context):
    subprocess.Popen(["sleep", "infinity"])
    subprocess.Popen(["sh", "-c", "sleep infinity & wait"])
    if os.fork() == 0:
        signals.pause()
    begin(store, context)


main = Dag("main")
main.define({PythonTask("parent", work): None})
