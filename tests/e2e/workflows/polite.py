"""A task that works until it is to stop."""

import time

from gates import begin

from nflow.models import Dag, Option, Parameters, StopTask
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger is.")])


def work(data, store, signal, context):
    begin(store, context)
    while not signal.is_stopped:
        time.sleep(0.01)  # what it works on
    raise StopTask("it was time")


main = Dag("main")
main.define({PythonTask("polite", work): None})
