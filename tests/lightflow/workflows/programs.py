"""A program, what it prints, and how it ends."""

from nflow.models import Dag
from nflow.tasks import PythonTask
from nflow.tasks.bash_task import BashTask


def started(pid, data, store, signal, context):
    print("it runs:", pid > 0)


def each_line(line, data, store, signal, context):
    print("line", repr(line))


def ended(returncode, stdout_file, stderr_file, data, store, signal, context):
    print(f"ended with {returncode}, captured", stdout_file.read(), stderr_file)
    data["code"] = returncode


def show(data, store, signal, context):
    print("then", data["code"])


speaks = BashTask(
    name="speaks",
    command=lambda data, store: "printf 'one\\ntwo'; exit 3",
    capture_stdout=True,
    callback_process=started,
    callback_end=ended,
    callback_stdout=each_line,
)

dag = Dag("main_dag")
dag.define({speaks: PythonTask("show", show)})
