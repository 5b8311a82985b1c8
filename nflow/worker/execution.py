"""One task job, from the queue to its recorded outcome: claim, run, settle."""

import asyncio
import signal
import time
from dataclasses import asdict

from nflow.bus.port import Job
from nflow.core.events import Provenance, RemoteError, TaskCancelled, TaskEvent, TaskFailed
from nflow.core.jobs import TaskJob
from nflow.engine.claims import Claim
from nflow.errors import NflowError, TooLarge
from nflow.wire.messages import pack_events
from nflow.worker.calls import TaskCalls
from nflow.worker.means import Means
from nflow.worker.pace import Pace
from nflow.worker.slot import Slot, SlotDied
from nflow.worker.stops import Stops

#: Seconds between SIGTERM and SIGKILL.
TERMINATION = 5.0

#: A claimed task that finds no free slot for so long is given back, for a worker that has one.
PATIENCE = 1.0


class Execution:
    """One execution of an attempt, in this worker."""

    def __init__(self, means: Means, job: Job, task: TaskJob, pace: Pace, stops: Stops) -> None:
        self.job = job
        self.task = task
        self.started = False  #: the claim may have been made
        self.begun = False  #: user code may have run
        self.log = means.engine.subjects.log(task.run, task.dag)
        self._means = means
        self._pace = pace
        self._stops = stops
        self._claim: Claim | None = None
        self._slot: Slot | None = None
        self._ended_by: str | None = None  #: why this worker has signalled the process
        self._given_back = False
        self._lost = False
        self._start = 0.0
        self._clocks: list[asyncio.TimerHandle] = []

    async def run(self) -> None:
        """Claim the attempt, run it, record its outcome."""
        self.started = True
        holdings = self._means.engine.holdings
        if not holdings.add(self.job, still_mine=self._still_mine, stand_down=self._stand_down):
            return
        self._claim = await self._means.claimer.claim(self.job, self.task)
        if self._claim is None:
            return
        slot = await self._means.pool.acquire(PATIENCE)
        if slot is None:
            self._pace.took(PATIENCE)  # what runs here is long by now: claim nothing ahead of it
            await self.release()
            return
        try:
            outcome = None if self._lost or self._given_back else await self._run_in(slot, self._claim)
        finally:
            self._slot = None
            for clock in self._clocks:
                clock.cancel()
            self._means.pool.release(slot)
        if self._given_back:
            await self.release()
        elif outcome is not None and not self._lost:
            await self._settle(self._claim, outcome, slot.pid)

    async def release(self) -> None:
        """Give the attempt back to its queue."""
        if self._claim is None:
            await self._means.engine.holdings.hand_back(self.job)
        elif not self._lost:
            await self._claim.release()

    async def withdraw(self) -> bool:
        """Take back the claim, unless user code may have run; False if the job has left this worker's hands."""
        if self._lost:
            return False
        return self._claim is None or self.begun or await self._claim.withdraw()

    def check_stop(self) -> None:
        """If the dag run is to stop: tell the task, and end it when its grace is over."""
        stop = self._stops.of(self.log, self.task.opening)
        if stop is None or self._slot is None:
            return
        self._slot.flag_stop()
        if stop.grace is not None:
            self._end_after(stop.grace, f"{stop.reason}; it did not end within {stop.grace:g} s and was killed")

    def give_back(self) -> None:
        """End the user code here; another worker begins the attempt again."""
        self._given_back = True
        if self._slot is not None:
            self._end_after(0.0, "its worker was stopped")

    async def _run_in(self, slot: Slot, claim: Claim) -> bytes | None:
        self._slot = slot
        self.begun = True
        self._start = time.time()
        try:
            request = await self._request(slot, claim)
            self.check_stop()
            outcome = await slot.run(
                request,
                subject=self._means.engine.subjects.lines(self.task.run, self.task.dag, self.task.task),
                attempt=self.task.attempt,
                call=TaskCalls(self._means.engine, self._means.pool, self._means.watches, self.task),
            )
        except SlotDied as death:
            return None if self._given_back else pack_events([self._death(claim, death, slot.pid)])
        except NflowError as error:  # code or input that cannot be fetched any more
            return pack_events([self._failure(claim, type(error).__name__, str(error), pid=0)])
        self._pace.took(time.time() - self._start)
        self._given_back = False  # it ended by itself before it was ended
        return outcome

    async def _request(self, slot: Slot, claim: Claim) -> tuple[object, ...]:
        """What the slot needs to know. Code goes there once, and stays in its hands."""
        task, means = self.task, self._means
        given = None if task.input_blob is None else await means.engine.blobs.get(task.input_blob)
        code = None
        if task.code not in slot.known_code:
            code = await means.code.get(task.code)
            slot.known_code.add(task.code)  # last, for then it is sent there
        terms = asdict(means.engine.terms)
        return self.job.payload, given, code, claim.execution, means.engine.holdings.worker, means.host, terms

    async def _settle(self, claim: Claim, outcome: bytes, pid: int) -> None:
        try:
            await claim.settle(outcome)
        except TooLarge as error:
            message = f"What the task hands on, with all its names, does not fit into a message. {error}"
            await claim.settle(pack_events([self._failure(claim, "TooLarge", message, pid)]))

    def _end_after(self, seconds: float, reason: str) -> None:
        loop = asyncio.get_running_loop()
        self._clocks.append(loop.call_later(seconds, self._signal, signal.SIGTERM, reason))
        self._clocks.append(loop.call_later(seconds + TERMINATION, self._signal, signal.SIGKILL, reason))

    def _signal(self, signum: signal.Signals, reason: str) -> None:
        if self._slot is not None:
            self._ended_by = self._ended_by or reason
            self._slot.signal_group(signum)

    def _death(self, claim: Claim, death: SlotDied, pid: int) -> TaskEvent:
        if self._ended_by is not None:
            provenance = self._provenance(pid)
            attempt = self.task.attempt
            return TaskCancelled(task=self.task.task, reason=self._ended_by, provenance=provenance, attempt=attempt)
        message = str(death)
        return self._failure(claim, "SlotDied", f"{message[0].upper()}{message[1:]}.", pid)

    def _failure(self, claim: Claim, kind: str, message: str, pid: int) -> TaskFailed:
        return TaskFailed(
            task=self.task.task,
            attempt=self.task.attempt,
            execution=claim.execution,
            error=RemoteError(type=kind, message=message),
            provenance=self._provenance(pid),
        )

    def _provenance(self, pid: int) -> Provenance:
        worker = self._means.engine.holdings.worker
        return Provenance(worker=worker, host=self._means.host, pid=pid, start=self._start, end=time.time())

    async def _still_mine(self) -> bool:
        return self._claim is None or await self._claim.still_mine()

    def _stand_down(self) -> None:
        """A successor runs this attempt: end the user code here, and say nothing of how."""
        self._lost = True
        if self._slot is not None:
            self._slot.kill()
