"""A dag whose task starts the same dag again and waits for it, so many levels deep."""

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [Option("folder", help="Where the ledger is."), Option("depth", default=10, type=int, help="How deep to go.")]
)


def descend(data, store, signal, context):
    begin(store, context)
    if "level" not in data:
        data["level"] = 1
    level = data["level"]
    if level < store.get("depth"):
        data["level"] += 1
        signal.join_dags([signal.start_dag("level", data=data)])
    print(f"level {level} ends")


level = Dag("level")
level.define({PythonTask("descend", descend): None})
