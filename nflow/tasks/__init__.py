"""The tasks that come with nflow."""

from nflow.tasks.bash_task import BashTask
from nflow.tasks.python_task import PythonTask

__all__ = ["BashTask", "PythonTask"]
