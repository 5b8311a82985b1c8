"""The tasks that come with nflow."""

from typing import TYPE_CHECKING

from nflow.models.gone import missing
from nflow.tasks.bash_task import BashTask
from nflow.tasks.python_task import PythonTask

__all__ = ["BashTask", "PythonTask"]


if not TYPE_CHECKING:  # type checkers know what is there

    def __getattr__(name: str) -> object:
        raise missing(__name__, name)
