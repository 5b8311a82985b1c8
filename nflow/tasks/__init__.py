"""The tasks that come with nflow."""

from nflow.tasks.python_task import PythonTask

__all__ = ["PythonTask"]
