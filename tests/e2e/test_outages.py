"""An outage of the server doubles nothing, and neither does a job that comes twice."""

import asyncio
import signal
from collections import Counter

import pytest

from nflow.bus.nats import NatsBus
from tests.e2e.news import PATIENCE, News
from tests.e2e.process import Process
from tests.e2e.station import Station


async def stay_for(seconds: float, *workers: Process) -> None:
    """Let an outage last so long, in which no worker may give up."""
    ends = [asyncio.ensure_future(worker.gone()) for worker in workers]
    done, waiting = await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for end in waiting:
        end.cancel()
    assert not done, "a worker ended because the server was away"


async def run_through_an_outage(station: Station, *, tasks: int, workers: int, seconds: float) -> None:
    slots = tasks // workers + 5  # free ones, to which a task could be given a second time
    queues = ["workflow,dag,task", *["task"] * (workers - 1)]
    there = await asyncio.gather(*(station.worker(each, slots=slots) for each in queues))
    gate = station.gate("wide")
    run = await station.submit("wide", variables={"WIDTH": str(tasks)})
    async with station.following(run) as story:
        await story.begun("wide", times=tasks)

        station.server.kill()
        await stay_for(seconds, *there)
        station.server.start()
        await station.heartbeats(2 * workers)
        gate.open()

        await story.succeeds()
        assert Counter(station.ledger()) == {"wide": tasks}
        assert len(story.claims()) == tasks


async def test_an_outage_longer_than_a_lease_doubles_no_task(station: Station):
    await run_through_an_outage(station, tasks=20, workers=2, seconds=4.0)


@pytest.mark.slow
async def test_an_outage_of_ten_seconds_doubles_none_of_a_hundred_tasks(station: Station):
    await run_through_an_outage(station, tasks=100, workers=5, seconds=10.0)


async def test_what_a_task_does_and_says_in_an_outage_is_delivered_after_it(station: Station):
    worker = await station.worker()
    gate = station.gate("second")
    run = await station.submit("gated")
    async with station.following(run) as story:
        await story.begun("second")

        station.server.kill()
        await stay_for(2.0, worker)
        gate.open()
        await stay_for(2.0, worker)
        station.server.start()

        await story.succeeds()
        assert station.ledger() == ["first", "second", "third"]
        assert story.said("second") == ["second begins", "first second"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["nflow_jobs", "nflow_events"])
async def test_the_end_of_a_cluster_leader_doubles_no_task(replicated: Station, stream: str):
    tasks = 100
    await asyncio.gather(*(replicated.worker(queues, slots=30) for queues in ("workflow,dag,task", *["task"] * 3)))
    gate = replicated.gate("wide")
    run = await replicated.submit("wide", variables={"WIDTH": str(tasks)})
    async with replicated.following(run) as story:
        await story.begun("wide", times=tasks)
        leader = await leader_of((await replicated.client()).engine.bus, stream)

        next(server for server in replicated.servers if server.name == leader).kill()
        await replicated.heartbeats(8)
        gate.open()

        await story.succeeds(2 * PATIENCE)
        assert Counter(replicated.ledger()) == {"wide": tasks}


async def leader_of(bus: NatsBus, stream: str) -> str:
    info = await bus._jetstream.call_patiently(f"STREAM.INFO.{stream}", {})
    return info["cluster"]["leader"]


async def test_a_job_that_is_stored_twice_runs_once(station: Station):
    await station.worker("workflow,dag")
    holder = await station.worker("task")
    gate = station.gate("second")
    run = await station.submit("gated")
    bus = (await station.client()).engine.bus
    async with station.following(run) as story:
        await story.begun("second")
        holder.send(signal.SIGTERM)  # it goes on with its task, but takes no other: the double comes to another worker
        await holder.until_says("draining")
        await station.worker("task")
        [job] = (await bus.read("nflow.job.task.>")).records
        answers = Answers(bus)

        bus.publish(job.subject, job.payload)
        await answers.until("-NAK")
        gate.open()
        await story.succeeds()
        await answers.until("+ACK", times=3)  # of the second task, of its double, of the third task
        bus.publish(job.subject, job.payload)
        await answers.until("+ACK", times=4)

        assert station.ledger() == ["first", "second", "third"]
        story.has_one_outcome_each()


class Answers:
    """What workers say to the queue of tasks of the jobs they were given, but for that they are still at it."""

    def __init__(self, bus: NatsBus) -> None:
        self._news = News()
        self._said: list[str] = []
        bus.subscribe("$JS.ACK.nflow_jobs.>", self._on_answer)

    async def until(self, answer: str, *, times: int = 1) -> None:
        await self._news.until(lambda: self._said.count(answer) >= times)

    def _on_answer(self, subject: str, payload: bytes) -> None:
        if ".task_" in subject:
            self._said.append(payload.split()[0].decode())
            self._news.tell()
