"""The dag for one frame; workflow files import it."""

from nflow.models import Action, Dag
from nflow.models.task_data import MultiTaskData, TaskData
from nflow.tasks.python_task import PythonTask


def describe(data, store, signal, context):
    data["meta"]["stage"] = context.task_name


def calibrate(data, store, signal, context):
    data["calibration"] = {"distance": 2.0}
    data["meta"]["stage"] = context.task_name


def mask(data, store, signal, context):
    data["mask"] = [1, 0, 1]
    data["meta"]["stage"] = context.task_name
    return Action(data)


def integrate(data, store, signal, context):
    frame = data.get_by_alias("frame")["frame"]
    distance = data("calibration")["calibration"]["distance"]
    kept = [value for value, keep in zip(frame, data.get_by_alias("mask")["mask"], strict=True) if keep]
    print("frame", frame, "integrates to", sum(kept) * distance, "in", context.dag_name.split(":")[0])
    data["meta"]["stage"] = context.task_name


def report(data, store, signal, context):
    print("last stage", data["meta"]["stage"], "of", data["meta"]["sample"], "at", data.get_by_index(0)["number"])


def wrapped(number, frame):
    """The data that a run of this dag starts with."""
    return MultiTaskData(dataset=TaskData(data={"number": number, "frame": frame, "meta": {"sample": "AgBh"}}))


describe_task = PythonTask(name="describe", callback=describe)
thumbnail_task = PythonTask(name="thumbnail")
calibrate_task = PythonTask(name="calibrate", callback=calibrate, queue="calibration")
mask_task = PythonTask(name="make_mask", callback=mask)
integrate_task = PythonTask(name="integrate", callback=integrate)

frame_dag = Dag("frame", autostart=False, queue="frames")
frame_dag.define(
    {
        describe_task: {thumbnail_task: None, calibrate_task: "", integrate_task: "frame"},
        calibrate_task: {mask_task: None, integrate_task: "calibration"},
        mask_task: {integrate_task: "mask"},
        integrate_task: PythonTask("report", report),
    }
)
