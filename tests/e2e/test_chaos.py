"""Everything is killed, frozen, cut off and slowed again and again, and every run is accounted for."""

import pytest

from tests.chaos.account import Verdict
from tests.chaos.campaign import available, campaign
from tests.chaos.faults import Kind

_PLANNED = {Verdict.SUCCEEDED, Verdict.FAILED, Verdict.STOPPED, Verdict.CHAOS}


@pytest.mark.timeout(400)
async def test_every_promise_is_kept_through_a_hundred_seconds_of_chaos(tmp_path):
    parts = await campaign(tmp_path, available(), seconds=100.0, seed=1, say=print)

    for part in parts:
        assert part.broken == []
        assert set(part.verdicts) <= _PLANNED
        assert part.verdicts[Verdict.SUCCEEDED] > part.submitted / 2
        assert all(part.faults.of(kind) for kind in Kind if kind is not Kind.STORE_KILLED or part.store == "mongodb")
