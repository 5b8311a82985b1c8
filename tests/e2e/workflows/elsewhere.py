"""A task that needs a module which only the machine of whoever submits it has."""

import only_here

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger is.")])


def work(data, store, signal, context):
    print(only_here.ANSWER)


main = Dag("main")
main.define({PythonTask("lost", work): None})
