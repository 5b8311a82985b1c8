"""A program of the system as a task: its lines one by one as they come, its output as a whole, its return code.

    nflow run examples/bash.py

The command is one for the shell. `callback_stdout` gets each line as soon as it is there, for instance to follow the
progress of a program that takes an hour; `callback_end` gets files with all that was written. A return code other than
0 is no failure by itself, for some programs mean well by it: look at it.
"""

from nflow.models import Dag
from nflow.tasks import BashTask

COMMAND = """
echo "acquisition begins" >&2
for i in $(seq 1 10); do
    echo "This is line $i"
done
"""


def begin(pid, data, store, signal, context):
    """Called when the program has started."""
    data["num_lines"] = 0


def count_line(line, data, store, signal, context):
    """Called with each line, its end included."""
    print(line.rstrip())
    data["num_lines"] += 1


def report(return_code, stdout_file, stderr_file, data, store, signal, context):
    """Called when the program has ended. The files are binary ones, read from their beginning."""
    print(f"Process return code: {return_code}")
    print(f"Number of lines: {data['num_lines']}")
    print(f"Size of stdout: {len(stdout_file.read())} bytes")
    print(f"What stderr says: {stderr_file.read().decode().strip()}")


proc_task = BashTask(
    name="proc_task",
    command=COMMAND,
    capture_stdout=True,
    capture_stderr=True,
    callback_process=begin,
    callback_stdout=count_line,
    callback_end=report,
)

dag = Dag("main_dag")
dag.define({proc_task: None})
