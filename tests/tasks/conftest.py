"""A task's surroundings without a run, and a check after each test that it has left nothing open."""

import os
from pathlib import Path

import pytest

from nflow.models import MultiTaskData, TaskContext, TaskData

from .stage import Stage


@pytest.fixture
def stage():
    """Runs tasks as a slot does."""
    data = MultiTaskData(dataset=TaskData(), aliases=["before"])
    with Stage(data=data, context=TaskContext("task", "dag:1", "flow", "id", "host")) as stage:
        yield stage


@pytest.fixture(autouse=True)
def _nothing_left_open():
    before = _open_files()

    yield

    assert _open_files() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
