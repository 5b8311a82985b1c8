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
    before = _open_files(), _children()

    yield

    assert (_open_files(), _children()) == before


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _children() -> set[int]:
    """Children of this process, those that are not buried too; other tests may have servers running."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except OSError:  # gone by now
            continue
        if parent == os.getpid():
            found.add(int(stat.parent.name))
    return found
