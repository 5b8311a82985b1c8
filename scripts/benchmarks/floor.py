"""The floor: a minimal client that sends the same messages and does nothing else. No run is faster than this.

For each task: a job (stored once), its delivery, the claim (checked), the outcome (checked against the claim), the
acknowledgement of the job, and the push of the outcome that wakes the next one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from nflow.bus.port import JobQueue
from nflow.bus.topology import consumer, streams

NAMESPACE = "floor"

#: Jobs on their way at once in a fan-out, as in nflow.
WINDOW = 256

#: About what nflow's messages weigh for a task without data of its own.
JOB, CLAIM, OUTCOME = bytes(240), bytes(100), bytes(180)

EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class Floor:
    """One connection, one inbox for all acknowledgements, one pull for all jobs."""

    def __init__(self, connection: Nats) -> None:
        self._nats = connection
        self._inbox = connection.new_inbox()
        self._acks: dict[str, asyncio.Future[int]] = {}
        self._sent = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_outcome: Callable[[int], None] = lambda _: None
        self._run = 0

    async def open(self) -> None:
        """Lay down the streams, and begin to listen."""
        for config in streams(NAMESPACE):
            await self._nats.request(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode())
        queue = JobQueue("floor", f"{NAMESPACE}.job.>")
        body = {"stream_name": f"{NAMESPACE}_jobs", "config": consumer(queue), "action": "create"}
        await self._nats.request(f"$JS.API.CONSUMER.CREATE.{NAMESPACE}_jobs.floor.{queue.subject}", json.dumps(body).encode())
        await self._nats.subscribe(f"{self._inbox}.*", cb=self._on_ack)
        await self._nats.subscribe(f"{NAMESPACE}.pushed.event.>", cb=self._on_push)
        jobs = self._nats.new_inbox()
        await self._nats.subscribe(jobs, cb=self._on_job)
        pull = json.dumps({"batch": 1_000_000, "expires": 3600 * 10**9}).encode()
        await self._nats.publish(f"$JS.API.CONSUMER.MSG.NEXT.{NAMESPACE}_jobs.floor", pull, reply=jobs)

    async def chain(self, steps: int) -> None:
        """One task after the other, each woken by the push of the outcome before it."""
        self._run += 1
        done = asyncio.get_running_loop().create_future()

        def on_outcome(number: int) -> None:
            if number + 1 < steps:
                self._spawn(self._dispatch(number + 1))
            else:
                done.set_result(None)

        self._on_outcome = on_outcome
        await self._dispatch(0)
        await done

    async def fan_out(self, width: int) -> None:
        """All at once, until the last outcome has been pushed."""
        self._run += 1
        done = asyncio.get_running_loop().create_future()
        left = width

        def on_outcome(_: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        self._on_outcome = on_outcome
        places = asyncio.Semaphore(WINDOW)
        for number in range(width):
            await places.acquire()
            self._spawn(self._dispatch(number), then=places.release)
        await done

    async def _dispatch(self, number: int) -> None:
        await self._store(f"{NAMESPACE}.job.task.task.py.5.{self._run}.dag.{number}.1", JOB, 0)

    async def _execute(self, job: Msg) -> None:
        *_, run, dag, number, _ = job.subject.split(".")
        subject = f"{NAMESPACE}.event.{run}.{dag}.{number}"
        claimed = await self._store(subject, CLAIM, 0)
        await self._store(subject, OUTCOME, claimed)
        await self._nats.publish(job.reply, b"+ACK")

    async def _store(self, subject: str, payload: bytes, expected: int) -> int:
        self._sent += 1
        token = f"{self._inbox}.{self._sent}"
        ack = self._acks[token] = asyncio.get_running_loop().create_future()
        await self._nats.publish(subject, payload, reply=token, headers={EXPECTED: str(expected)})
        return await ack

    def _spawn(self, work: "asyncio.Future[None] | object", then: Callable[[], None] = lambda: None) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(lambda done: (self._tasks.discard(done), then()))

    async def _on_ack(self, message: Msg) -> None:
        answer = json.loads(message.data)
        self._acks.pop(message.subject).set_result(answer["seq"])

    async def _on_job(self, message: Msg) -> None:
        self._spawn(self._execute(message))

    async def _on_push(self, message: Msg) -> None:
        if len(message.data) == len(OUTCOME):
            self._on_outcome(int(message.subject.rpartition(".")[2]))


@asynccontextmanager
async def floor(url: str, token: str) -> AsyncIterator[Floor]:
    """A floor on this server."""
    connection = await nats.connect(url, token=token)
    try:
        made = Floor(connection)
        await made.open()
        yield made
    finally:
        await connection.close()
