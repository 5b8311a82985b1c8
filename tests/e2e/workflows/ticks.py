"""A task that prints at a steady pace, and one behind it."""

import time

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gates are."),
        Option("lines", default=2000, type=int, help="How many lines to print."),
    ]
)


def tick(data, store, signal, context):
    begin(store, context)
    for number in range(store.get("lines")):
        print(f"tick {number}")
        time.sleep(0.002)  # a pace, not a wait


def last(data, store, signal, context):
    begin(store, context)
    print("the last word")


first, second = PythonTask("tick", tick), PythonTask("last", last)

main = Dag("main")
main.define({first: second})
