"""The floor: a minimal client that sends the same messages and does nothing else. Nothing through a queue is faster.

A task: its job (stored once), its delivery, the claim (checked), the outcome (checked against the claim), the
acknowledgement of the job, and the push of the outcome that wakes what comes next.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import nats
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from nflow.bus.port import JobQueue
from nflow.bus.topology import consumer, streams

NAMESPACE = "floor"

#: Jobs on their way at once in a fan-out, as in nflow.
WINDOW = 256

#: About what nflow's messages weigh where tasks have no data.
JOB, CLAIM, OUTCOME = bytes(240), bytes(100), bytes(180)

EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class Floor:
    """One connection, one inbox for all acknowledgements, one pull for all jobs."""

    def __init__(self, connection: Nats) -> None:
        self._nats = connection
        self._inbox = connection.new_inbox()
        self._acks: dict[str, asyncio.Future[int]] = {}
        self._sent = 0
        self._runs = 0
        self._jobs: dict[str, asyncio.Future[Msg]] = defaultdict(asyncio.get_running_loop().create_future)
        self._pushes: dict[str, asyncio.Future[None]] = defaultdict(asyncio.get_running_loop().create_future)
        self._works: set[asyncio.Task[None]] = set()
        self._on_outcome: Callable[[int], None] | None = None

    async def open(self) -> None:
        """Lay down the streams, and begin to listen."""
        for config in streams(NAMESPACE):
            await self._nats.request(f"$JS.API.STREAM.CREATE.{config['name']}", _json(config))
        queue = JobQueue("floor", f"{NAMESPACE}.job.>")
        body = {"stream_name": f"{NAMESPACE}_jobs", "config": consumer(queue), "action": "create"}
        await self._nats.request(f"$JS.API.CONSUMER.CREATE.{NAMESPACE}_jobs.floor.{queue.subject}", _json(body))
        await self._nats.subscribe(f"{self._inbox}.*", cb=self._on_ack)
        await self._nats.subscribe(f"{NAMESPACE}.pushed.event.>", cb=self._on_push)
        jobs = self._nats.new_inbox()
        await self._nats.subscribe(jobs, cb=self._on_job)
        pull = {"batch": 1_000_000, "expires": 3600 * 10**9}
        await self._nats.publish(f"$JS.API.CONSUMER.MSG.NEXT.{NAMESPACE}_jobs.floor", _json(pull), reply=jobs)

    async def chain(self, steps: int) -> None:
        """One task after the other, each woken by the push of the outcome before it."""
        run, done = self._new_run(), _future()

        def on_outcome(number: int) -> None:
            if number + 1 < steps:
                self._spawn(self._dispatch(run, number + 1))
            else:
                done.set_result(None)

        await self._with_outcomes(on_outcome, self._dispatch(run, 0), done)

    async def fan_out(self, width: int) -> None:
        """All at once, until the last outcome has been pushed."""
        run, done, left = self._new_run(), _future(), width

        def on_outcome(_: int) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        async def dispatch_all() -> None:
            places = asyncio.Semaphore(WINDOW)
            for number in range(width):
                await places.acquire()
                self._spawn(self._dispatch(run, number), then=places.release)

        await self._with_outcomes(on_outcome, dispatch_all(), done)

    async def run(self, tasks: int = 1, first_line: Callable[[], None] = lambda: None) -> None:
        """All messages of a run: submit, drive the workflow, drive a dag that is a chain, finish both."""
        run = self._new_run()
        log, dag_log = f"{NAMESPACE}.event.{run}._", f"{NAMESPACE}.event.{run}.d"
        for blob in ("code", "spec"):
            await self._store(f"{NAMESPACE}.blob.{run}.{blob}.0", JOB, 0)
        workflow_job = await self._job(f"workflow.workflow.any.5.{run}")
        await self._store(f"{log}._owner", CLAIM, 0)
        await self._last("events", f"{log}._owner")
        await self._logged(f"{log}._log", CLAIM)
        index = self._spawn(self._note(run))
        await self._logged(f"{log}._log", CLAIM)
        dag_job = await self._job(f"dag.dag.any.5.{run}.d")
        await self._store(f"{dag_log}._owner", CLAIM, 0)
        await self._last("events", f"{dag_log}._owner")
        for number in range(tasks):
            job = await self._job(f"task.task.py.5.{run}.d.{number}.1")
            claimed = await self._store(f"{dag_log}.{number}", CLAIM, 0)
            if number == 0:
                first_line()
            await self._logged(f"{dag_log}.{number}", OUTCOME, claimed)
            await self._nats.publish(job.reply, b"+ACK")
        await self._logged(f"{log}.d", CLAIM, 0)
        await self._nats.publish(dag_job.reply, b"+ACK")
        await self._last("events", f"{log}.d")
        await self._logged(f"{log}._log", CLAIM)
        await index
        await self._note(run)
        await self._nats.publish(workflow_job.reply, b"+ACK")

    async def put(self, number: int) -> None:
        """An entry of the store, stored."""
        await self._store(f"$KV.{NAMESPACE}_store.run.data.key.{number}", CLAIM)

    async def get(self) -> None:
        """An entry of the store, read; whether it is there makes no difference."""
        await self._nats.request(f"$JS.API.DIRECT.GET.KV_{NAMESPACE}_store.$KV.{NAMESPACE}_store.run.data.key.0")

    async def settled(self) -> None:
        """Return when nothing is left to send."""
        while self._works:
            await asyncio.wait(self._works)

    def _new_run(self) -> str:
        self._runs += 1
        return f"r{self._runs}"

    async def _with_outcomes(
        self, on_outcome: Callable[[int], None], begin: Coroutine[object, object, None], done: "asyncio.Future[None]"
    ) -> None:
        self._on_outcome = on_outcome
        await begin
        await done
        self._on_outcome = None
        await self.settled()

    async def _dispatch(self, run: str, number: int) -> None:
        await self._store(f"{NAMESPACE}.job.task.task.py.5.{run}.d.{number}.1", JOB, 0)

    async def _execute(self, job: Msg) -> None:
        *_, run, dag, number, _ = job.subject.split(".")
        subject = f"{NAMESPACE}.event.{run}.{dag}.{number}"
        claimed = await self._store(subject, CLAIM, 0)
        await self._store(subject, OUTCOME, claimed)
        await self._nats.publish(job.reply, b"+ACK")

    async def _job(self, place: str) -> Msg:
        """A job, stored and delivered."""
        subject = f"{NAMESPACE}.job.{place}"
        delivered = self._jobs[subject]
        self._spawn(self._stored(subject, JOB, 0))
        return await delivered

    async def _logged(self, subject: str, payload: bytes, expected: int | None = None) -> None:
        """A record, stored and pushed."""
        pushed = self._pushes[subject]
        await self._store(subject, payload, expected)
        await pushed

    async def _last(self, stream: str, subject: str) -> None:
        await self._nats.request(f"$JS.API.DIRECT.GET.{NAMESPACE}_{stream}.{subject}")

    async def _note(self, run: str) -> None:
        await self._store(f"$KV.{NAMESPACE}_runs.{run}", CLAIM)

    async def _stored(self, subject: str, payload: bytes, expected: int) -> None:
        await self._store(subject, payload, expected)

    async def _store(self, subject: str, payload: bytes, expected: int | None = None) -> int:
        self._sent += 1
        token = f"{self._inbox}.{self._sent}"
        ack: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._acks[token] = ack
        headers = None if expected is None else {EXPECTED: str(expected)}
        await self._nats.publish(subject, payload, reply=token, headers=headers)
        return await ack

    def _spawn(
        self, work: Coroutine[object, object, None], then: Callable[[], None] = lambda: None
    ) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._works.add(task)

        def on_done(done: "asyncio.Task[None]") -> None:
            self._works.discard(done)
            then()

        task.add_done_callback(on_done)
        return task

    async def _on_ack(self, message: Msg) -> None:
        answer = json.loads(message.data)
        ack = self._acks.pop(message.subject)
        if "seq" in answer:
            ack.set_result(answer["seq"])
        else:
            ack.set_exception(RuntimeError(f"the server refused a message of the floor: {answer}"))

    async def _on_job(self, message: Msg) -> None:
        if self._on_outcome is None:
            self._jobs.pop(message.subject).set_result(message)
        else:
            self._spawn(self._execute(message))

    async def _on_push(self, message: Msg) -> None:
        subject = message.subject.replace(".pushed.", ".", 1)
        if self._on_outcome is None:
            if subject in self._pushes:
                self._pushes.pop(subject).set_result(None)
        elif len(message.data) == len(OUTCOME):
            self._on_outcome(int(subject.rpartition(".")[2]))


@asynccontextmanager
async def floor(url: str, token: str) -> AsyncIterator[Floor]:
    """A floor on this server."""
    connection = await nats.connect(url, token=token)
    try:
        made = Floor(connection)
        await made.open()
        yield made
        await made.settled()
    finally:
        await connection.close()


def _future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
