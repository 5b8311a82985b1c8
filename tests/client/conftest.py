"""Clients on a bus in memory, with workers whose tasks are scripts; and programs that use one on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from nflow.bus.port import JobQueue
from nflow.client import AsyncClient
from nflow.models import Dag
from nflow.tasks import PythonTask
from nflow.wire.python import python_tag
from tests.worker.crew import Crew, Site


def chain(*names: str, dag: str = "scan") -> Dag:
    """A dag whose tasks follow each other; what they do is up to the scripts of a site."""
    tasks = [PythonTask(name) for name in names]
    made = Dag(dag)
    made.define(dict(zip(tasks, [*tasks[1:], None], strict=True)))
    return made


class Held:
    """A script that a test holds up."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scene: object) -> None:
        self.begun.set()
        await self.go_on.wait()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.close()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[AsyncClient]:
    async with AsyncClient.on(site.client) as client:
        yield client


@pytest.fixture
async def crew(site: Site) -> Crew:
    """A worker for tasks whose code comes from this Python."""
    crew = await site.crew(slots=4)
    address = site.client.subjects.queue("task", "task", python_tag())
    crew.executing.add(await crew.bus.take(JobQueue(address.name, address.subject), crew.executing.on_job))
    return crew
