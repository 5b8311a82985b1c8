"""Every frame of a scan, in a dag of its own.

The dag comes from another module, and the queues are the site's own.
"""

from frames import frame_dag, wrapped

from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask

parameters = Parameters([Option("frames", help="How many", type=str), Option("first", default=0, type=str)])


def each_frame(data, store, signal, context):
    names = []
    for number in range(int(store.get("first")), int(store.get("frames"))):
        name = signal.start_dag(frame_dag, data=wrapped(number, [number, 10, 1]))
        names.append(name)
        signal.join_dags([name])
    print("started", names, "from", context.dag_name)


scan_task = PythonTask(name="scan", callback=each_frame, queue="main")

scan_dag = Dag("scan", autostart=True)
scan_dag.define({scan_task: None})
