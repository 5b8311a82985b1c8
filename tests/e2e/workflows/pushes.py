"""Many tasks that push to one list and add to one counter; half way, each comes to one gate."""

from gates import begin

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters(
    [
        Option("folder", help="Where the ledger and the gate are."),
        Option("tasks", type=int),
        Option("times", type=int, help="How often each pushes and adds."),
    ]
)


def start(data, store, signal, context):
    for number in range(store.get("tasks")):
        data["number"] = number
        signal.start_dag("pushing", data=data)
    signal.join_dags()
    pushed = store.get("pushed")
    orders = [[step for by, step in pushed if by == number] for number in range(store.get("tasks"))]
    in_order = all(order == list(range(store.get("times"))) for order in orders)
    print(f"{len(pushed)} pushed, {'in order' if in_order else 'in disorder'}, {store.get('count')} counted")


def push(data, store, signal, context):
    times = store.get("times")
    for step in range(times):
        if step == times // 2:
            begin(store, context)
        store.push("pushed", [data["number"], step], once=True)
        store.increment("count", once=True)


main = Dag("main")
main.define({PythonTask("start", start): None})
pushing = Dag("pushing", autostart=False)
pushing.define({PythonTask("push", push): None})
