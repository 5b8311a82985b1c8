"""Files that belong together: a dag for every complete group of names, only a few of them at a time.

    nflow run examples/chunking_dag.py

A scan writes `NAME_0001.dat`, `NAME_0002.dat` ... A group is complete as soon as a file of another name follows, and a
`|` in the list closes it early. The task starts a dag for each and keeps four of them in flight: when one has ended,
the next one starts. So it can go through thousands of groups without flooding the workers.

`ChunkingTask` is a kind of task of its own, with parameters, to be used in many workflows: a subclass of `BaseTask`.
"""

import re
from itertools import groupby

from nflow.models import BaseTask, Dag
from nflow.tasks import PythonTask


class ChunkingTask(BaseTask):
    """Starts a dag for each group of neighbouring names in which `pattern` finds the same.

    Args:
        name: The name of the task.
        dag_name: The dag to start; its tasks find the group under `key`.
        pattern: A regular expression. What its group `match` finds makes names belong together; a name in which it
            finds nothing belongs to no group, and ends the one before it.
        key: Where the list of names is in the data.
        in_flight: How many dags may run at a time.
    """

    def __init__(self, name, *, dag_name, pattern, key, in_flight=4, **others):
        super().__init__(name, **others)
        self.dag_name = dag_name
        self.pattern = pattern
        self.key = key
        self.in_flight = in_flight

    def run(self, data, store, signal, context, **kwargs):
        """Start the dags, and return when all of them have ended."""
        running = []
        for chunk in self.chunks(data[self.key]):
            if len(running) == self.in_flight:
                over = signal.join_any(running)
                running = [name for name in running if name not in over]
            data[self.key] = chunk
            started = signal.start_dag(self.dag_name, data=data)
            if started is None:  # the run is being stopped
                break
            running.append(started)
            print(f"Started {started}, {len(running)} in flight")
        signal.join_dags(running)

    def chunks(self, names):
        """The groups: `groupby` begins a new one whenever what was found changes."""
        return [list(group) for found, group in groupby(names, key=self.found) if found is not None]

    def found(self, name):
        """What makes a name belong to a group."""
        match = re.search(self.pattern, name)
        return match and match["match"]


def list_files(data, store, signal, context):
    """Name the files of an evening, in the order in which they were written."""
    data["files"] = [
        *("lysozyme_0001.dat", "lysozyme_0002.dat", "buffer_0001.dat", "buffer_0002.dat", "buffer_0003.dat"),
        *("glucose_0001.dat", "|", "glucose_0002.dat", "empty_0001.dat", "water_0001.dat", "water_0002.dat", "|"),
    ]


def print_files(data, store, signal, context):
    """Show the group that this dag was started for."""
    print(f"{context.dag_name} has {', '.join(data['files'])}")


list_task = PythonTask(name="list_task", callback=list_files)
chunk_task = ChunkingTask(
    name="chunk_task", dag_name="print_dag", pattern=r"(?P<match>[0-9A-Za-z]+)_\d+", key="files", in_flight=4
)
print_task = PythonTask(name="print_task", callback=print_files)

chunk_dag = Dag("chunk_dag")
chunk_dag.define({list_task: chunk_task})

print_dag = Dag("print_dag", autostart=False)
print_dag.define({print_task: None})
