"""One embedded server for each file of tests, kept running by an attachment, so that commands are quick."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Program

WORKFLOWS = Path(__file__).with_name("workflows")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server of these tests keeps its data."""
    home = tmp_path_factory.mktemp("home")
    with attach(load({"home": home})):
        yield home


@pytest.fixture
def nflow_folder(tmp_path: Path) -> Path:
    """A folder with the tests' workflows."""
    return shutil.copytree(WORKFLOWS, tmp_path / "here")


@pytest.fixture
def nflow(home: Path, nflow_folder: Path) -> Iterator[Program]:
    """The program, in a folder with the tests' workflows."""
    program = Program(nflow_folder, home)
    yield program
    program.close()
