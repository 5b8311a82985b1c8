"""Runs that have ended and go on: workers, drivers and clients on a bus in memory."""

import asyncio

import pytest

from nflow.client import Client
from nflow.core.events import (
    DagFinished,
    DagReopened,
    DagStarted,
    RunFinished,
    RunRetried,
    Status,
    StopRequested,
    TaskCancelled,
    TaskStarted,
)
from nflow.core.ids import DagId
from nflow.errors import UsageError
from nflow.wire.messages import pack_events


class Broken:
    """A script that fails until its cause is mended."""

    def __init__(self):
        self.mended = False

    async def __call__(self, scene):
        if not self.mended:
            raise ValueError("broken")


@pytest.fixture
def client(site):
    return Client(site.client)


async def ended(site, run, opening=0):
    for end in await site.has(run, RunFinished, times=opening + 1):
        if end.opening == opening:
            return end.status
    raise AssertionError("it ended in another opening")


async def test_what_failed_begins_again_and_what_succeeded_counts(site, client):
    site.scripts["b"] = broken = Broken()
    crew = await site.crew()
    run = await site.submit(main="a>b>c")
    assert await ended(site, run) is Status.FAILED
    broken.mended = True

    number = await client.retry(run)

    assert await ended(site, run, number) is Status.SUCCEEDED
    assert crew.played == ["a", "b", "b", "c"]
