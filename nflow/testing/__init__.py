"""For the tests of those who write workflows: a workflow is played inside the test.

from nflow.testing import play

def test_the_scan_is_reduced():
played = play("scan.py", frames=3)

assert played.status == "succeeded"
assert played["reduce"].data["mean"] == 2.0
"""

from nflow.testing.play import Stuck, play
from nflow.testing.played import Played, PlayedTask

__all__ = ["Played", "PlayedTask", "Stuck", "play"]
