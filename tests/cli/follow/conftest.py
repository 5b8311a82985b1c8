"""Views of runs, which need no server."""

import pytest

from nflow.core.events import DagStarted, RunStarted
from tests.view.tale import MAIN, Tale


@pytest.fixture
def tale() -> Tale:
    """A run of which one dag with two tasks was started."""
    return Tale(main=2, sub=3).tell(RunStarted(workflow="w", spec="", engine=""), DagStarted(key="k", dag=MAIN))
