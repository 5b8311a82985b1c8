"""A file that starts processes when it is read, and leaves them running."""

import multiprocessing
import os
import subprocess
from pathlib import Path

from nflow.models import Dag
from nflow.tasks import PythonTask

READ, WRITE = os.pipe()


def wait_for_ever():
    os.read(READ, 1)


fork = multiprocessing.get_context("fork").Process(target=wait_for_ever)
fork.start()
program = subprocess.Popen(["sleep", "infinity"])
Path("left").write_text(f"{fork.pid} {program.pid}")


def speak(data, store, signal, context):
    print("speaks")


dag = Dag("main")
dag.define({PythonTask(name="first", callback=speak): None})
