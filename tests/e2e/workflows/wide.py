"""Many tasks side by side behind one gate. How many there are is for the environment of whoever submits it to say."""

import os

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger and the gate are.")])


def work(data, store, signal, context):
    begin(store, context)


main = Dag("main")
main.define(dict.fromkeys([PythonTask("wide", work) for _ in range(int(os.environ.get("WIDTH", "100")))]))
