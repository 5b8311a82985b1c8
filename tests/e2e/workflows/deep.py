"""A dag whose task starts the same dag again and waits for it, so many levels deep."""

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [Option("folder", help="Where the ledger is."), Option("depth", default=10, type=int, help="How deep to go.")]
)


def descend(data, store, signal, context):
    begin(store, context)
    level = data["level"] if "level" in data else 1
    if level < store.get("depth"):
        data["level"] = level + 1
        signal.join_dags([signal.start_dag("level", data=data)])
    print(f"level {level} ends")


level = Dag("level")
level.define({PythonTask("descend", descend): None})
