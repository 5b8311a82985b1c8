"""Three tasks in a row, each with a gate."""

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("folder", help="Where the ledger and the gates are.")])


def work(data, store, signal, context):
    begin(store, context)
    if "path" not in data:
        data["path"] = []
    data["path"] += [context.task_name]
    print(" ".join(data["path"]))


first, second, third = (PythonTask(name, work) for name in ("first", "second", "third"))

main = Dag("main")
main.define({first: second, second: third})
