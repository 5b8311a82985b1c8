"""A file that prints while it is read, in every way there is."""

import os
import subprocess
import sys

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

print("printed")
sys.stdout.write("written\n")
os.write(1, b"raw\n")
subprocess.run(["echo", "from a program"], check=True)

parameters = Parameters([Option("converted", default="1", type=lambda text: print("from a converter") or text)])


def speak(data, store, signal, context):
    print("speaks")


dag = Dag("main")
dag.define({PythonTask(name="first", callback=speak): None})
