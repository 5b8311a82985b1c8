"""The tasks that come with nflow."""

from nflow.tasks.python import PythonTask

__all__ = ["PythonTask"]
