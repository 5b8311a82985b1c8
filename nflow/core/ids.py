"""The names of things, as types, so that a dag's name is never passed where a run's id belongs."""

from typing import NewType

RunId = NewType("RunId", str)
"""One execution of a workflow; ids sort by the time of their making."""

DagName = NewType("DagName", str)
"""A dag as it is defined in a workflow file: `sub_dag`."""

DagId = NewType("DagId", str)
"""A dag as it runs: `sub_dag:3`, the third that was started in its run."""

TaskId = NewType("TaskId", str)
"""A task within its dag: its name, or `name#2` for the second task of one name."""

WorkerId = NewType("WorkerId", str)
"""One life of a worker process: a name and a random tail, so that a restart is never taken for the process before."""
