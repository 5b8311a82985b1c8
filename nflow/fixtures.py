"""What pytest finds in every project where nflow is installed: the fixture `play`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nflow.testing import Played


@pytest.fixture
def play(request: pytest.FixtureRequest) -> "Callable[..., Played]":
    """`nflow.testing.play`, which also finds workflow files that lie beside the test.

    When the test fails, its report tells the story of each run that it played, with what the tasks printed.
    """
    from nflow.testing import play as play_  # noqa: PLC0415 - every start of pytest imports this module

    def playing(workflow: object, /, **parameters: object) -> "Played":
        played = play_(_beside(request.path.parent, workflow), **parameters)  # type: ignore[arg-type]  # as given
        request.node.add_report_section("call", "nflow", str(played))
        return played

    return playing


def _beside(folder: Path, workflow: object) -> object:
    if isinstance(workflow, str | Path):
        for candidate in (folder / workflow, folder / f"{workflow}.py"):
            if candidate.is_file():
                return candidate
    return workflow
