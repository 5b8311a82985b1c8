"""What is shown of a run is told to a view, which needs no server."""

import pytest

from tests.view.tale import Tale, begun


@pytest.fixture
def tale() -> Tale:
    """A run of which one dag with two tasks was started."""
    return begun()
