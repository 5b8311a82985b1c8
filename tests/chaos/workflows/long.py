"""Longer tasks, made to be stopped: one listens, one does not, one has a program, and one comes after them."""

import time

from ledger import note, noted, step

from nflow.models import Dag, Retry
from nflow.tasks import BashTask, PythonTask


def listen(data, store, signal, context):
    with noted(context):
        end = time.monotonic() + 2.0
        while not signal.is_stopped and time.monotonic() < end:
            time.sleep(0.02)


def sleep(data, store, signal, context):
    with noted(context):
        time.sleep(1.5)


def begin(data, store, signal, context):
    note("start", context)


def end(status, data, store, signal, context):
    if status == 1:
        note("end", context)


last = PythonTask("last", step)
program = BashTask("program", "sleep 1.2 & wait", check=True, callback_init=begin, callback_finally=end)

main = Dag("main", retry=Retry(attempts=5, pause=0.1))
main.define({PythonTask("listen", listen): last, PythonTask("sleep", sleep): last, program: last})
