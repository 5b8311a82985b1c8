"""The programs in docs/python-client.md do what the page shows, beside a worker."""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nflow.config import load
from nflow.server import attach
from tests.cli.program import Program

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "python-client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the examples of the project lie, and a worker works."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(CHECKOUT / "examples" / "sequence.py", folder)
    with attach(load({"home": folder / "home"})):
        program = Program(folder, folder / "home")
        program.start("worker", "--slots", "2").until_says(" serves ")
        yield folder
        program.close()


def test_every_program_of_the_page_shows_what_it_prints():
    assert len(EXAMPLES) == PAGE.count("```python") > 5


@pytest.mark.parametrize(("code", "shown"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_a_program_prints_what_the_page_shows(folder: Path, code: str, shown: str):
    file = folder / "program.py"
    file.write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NFLOW_")}

    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=folder,
        env=environment | {"NFLOW_HOME": str(folder / "home"), "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == shown.replace("HOST", platform.node())
