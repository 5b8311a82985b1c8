"""A task that sees no sense in going on, and stops the whole run: AbortWorkflow.

    nflow run examples/abort.py

Three images came from the detector, five are needed. The run ends as stopped with the task's own words, what would have
followed is cancelled, and the exit code is 1 (`echo $?`). There is no traceback: nothing is broken, somebody decided.
"""

from nflow.models import AbortWorkflow, Dag
from nflow.tasks import PythonTask


def collect_images(data, store, signal, context):
    """List the images that are there."""
    data["images"] = ["img_001.tif", "img_002.tif", "img_003.tif"]
    print(f"Collected {len(data['images'])} images")


def check_images(data, store, signal, context):
    """Go on with five images or more."""
    if len(data["images"]) < 5:
        raise AbortWorkflow("At least 5 images are required")
    print("There are enough images")


def average_images(data, store, signal, context):
    """What is never reached."""
    print(f"Averaging {len(data['images'])} images")


collect_task = PythonTask(name="collect_task", callback=collect_images)
check_task = PythonTask(name="check_task", callback=check_images)
average_task = PythonTask(name="average_task", callback=average_images)

dag = Dag("main_dag")
dag.define({collect_task: check_task, check_task: average_task})
