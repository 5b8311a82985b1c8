"""A task whose program leaves its process group, as daemons do."""

import subprocess

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger and the gates are.")])


def work(data, store, signal, context):
    script = "echo $$; while :; do sleep 3600; done"
    program = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True)
    print("stray", program.stdout.readline().strip())
    begin(store, context)


main = Dag("main")
main.define({PythonTask("parent", work): None})
