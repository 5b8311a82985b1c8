"""Tasks that write every byte there is, log, fail once, and are there twice."""

import logging
import os
import sys
from pathlib import Path

from nflow.models import Dag, Option, Parameters, Retry
from nflow.tasks import PythonTask

parameters = Parameters([Option("marker", help="a file that is there after the first attempt")])


def write(data, store, signal, context):
    os.write(1, bytes(range(256)))
    os.write(1, b"\r\n10 %\r20 %\r30 %\nhalf a line")
    sys.stderr.write("\x1b[31mto stderr\x1b[0m\n")
    log = logging.getLogger("mine")
    log.info("as expected")
    log.warning("a warning\nof two lines")
    log.error("an error")


def stumble(data, store, signal, context):
    marker = Path(store.get("marker"))
    print("walking" if marker.exists() else "stumbling")
    if not marker.exists():
        marker.touch()
        raise ValueError("no beam")


first = PythonTask("first", write)
second = PythonTask("second", stumble, retry=Retry(attempts=2, pause=0.01))

dag = Dag("main")
dag.define({first: second})
