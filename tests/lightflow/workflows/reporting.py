"""Callbacks around tasks that end in every way."""

from nflow.models import AbortWorkflow, Action, Dag, StopTask, TaskStatus
from nflow.tasks import PythonTask

NAMES = {
    TaskStatus.Success: "Success",
    TaskStatus.Stopped: "Stopped",
    TaskStatus.Aborted: "Aborted",
    TaskStatus.Error: "Error",
}


def greet(data, store, signal, context):
    data["greeted"] = context.task_name
    print("init of", context.task_name)


def judge(status, data, store, signal, context):
    print("finally of", context.task_name, NAMES[status], data["greeted"])


def succeed(data, store, signal, context):
    return Action(data)


def stop(data, store, signal, context):
    raise StopTask("enough", skip_successors=False)


def stop_all(data, store, signal, context):
    raise StopTask("enough for all that follow")


def abort(data, store, signal, context):
    raise AbortWorkflow("no beam")


def fail(data, store, signal, context):
    raise ValueError("no sample")


def task(name, callback):
    return PythonTask(name, callback, callback_init=greet, callback_finally=judge)


def start(data, store, signal, context):
    for dag in ("endings", "aborting"):
        signal.join_dags([signal.start_dag(dag)])


main_dag = Dag("main_dag")
main_dag.define({PythonTask("start", start): None})

succeeds, stops = task("succeeds", succeed), task("stops", stop)
stops_all, skipped = task("stops_all", stop_all), task("skipped", succeed)

endings = Dag("endings", autostart=False)
endings.define({succeeds: stops, stops: stops_all, stops_all: skipped})

aborting = Dag("aborting", autostart=False, schema={task("aborts", abort): task("cancelled", succeed)})
