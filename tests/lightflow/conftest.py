"""Workflow files as Lightflow's users have them, run as a person runs them.

One embedded server for each file of tests.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Done, Program

WORKFLOWS = Path(__file__).with_name("workflows")

#: How such files begin.
IMPORTS = """
from nflow.models import (
    AbortWorkflow, Action, BaseTask, Dag, DataStoreDocumentSection, MultiTaskData, Option, Parameters, StopTask,
    TaskData, TaskStatus,
)
from nflow.tasks import PythonTask
"""

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server of these tests keeps its data."""
    home = tmp_path_factory.mktemp("home")
    with attach(load({"home": home})):
        yield home


@pytest.fixture
def nflow(home: Path, tmp_path: Path) -> Iterator[Program]:
    """The program, in a folder with workflow files."""
    program = Program(shutil.copytree(WORKFLOWS, tmp_path / "here"), home)
    yield program
    program.close()


@pytest.fixture
def write(nflow: Program) -> Callable[..., Path]:
    """Writes a workflow file with this content."""

    def write(text: str, name: str = "flow") -> Path:
        file = nflow.folder / f"{name}.py"
        file.write_text(IMPORTS + dedent(text))
        return file

    return write


@pytest.fixture
def run(nflow: Program, write: Callable[..., Path]) -> Run:
    """Runs a workflow file with this content, with these arguments."""

    def run(text: str, *arguments: str) -> Done:
        return nflow("run", str(write(text)), "--slots", "2", *arguments)

    return run
