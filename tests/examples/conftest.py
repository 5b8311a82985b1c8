"""The examples as people start them: by the program, on a server that all tests here share."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Done, Program

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the server keeps its data; the attachment keeps it running, so that commands are quick."""
    home = tmp_path_factory.mktemp("home")
    with attach(load({"home": home})):
        yield home


@pytest.fixture(scope="session")
def nflow(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program, in an empty folder."""
    program = Program(tmp_path_factory.mktemp("here"), home)
    yield program
    program.close()


@pytest.fixture(scope="session")
def example(nflow: Program) -> Callable[..., Done]:
    """Run an example to its end, once for all who look at what it printed: its name, and what else to tell nflow."""

    @cache
    def run(name: str, *arguments: str) -> Done:
        return nflow("run", "--slots", "2", str(EXAMPLES / f"{name}.py"), *arguments)

    return run
