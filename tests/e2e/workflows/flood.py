"""A task that prints as much as it is told to, as fast as its pipe takes it; each line has a number."""

import os

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gates are."),
        Option("megabytes", default=64, type=int, help="How much to print."),
    ]
)


def flood(data, store, signal, context):
    begin(store, context)
    for block in range(store.get("megabytes") * 16):
        rest = memoryview(b"".join(b"line %d %d %s\n" % (block, row, b"x" * 80) for row in range(650)))
        while rest:
            rest = rest[os.write(1, rest) :]


main = Dag("main")
main.define({PythonTask("flood", flood): None})
