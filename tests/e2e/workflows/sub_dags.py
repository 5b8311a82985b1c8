"""A task that starts many runs of another dag and waits for them all."""

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [Option("folder", help="Where the ledger is."), Option("count", default=100, type=int, help="How many to start.")]
)


def start_all(data, store, signal, context):
    begin(store, context)
    names = [signal.start_dag(sub) for _ in range(store.get("count"))]
    print("all are started")
    signal.join_dags(names)
    print(f"{len(set(names))} have ended")


def work(data, store, signal, context):
    begin(store, context)


main = Dag("main")
main.define({PythonTask("start_all", start_all): None})

sub = Dag("sub", autostart=False)
sub.define({PythonTask("small", work, queue="small"): None})
