"""One task job, from the queue to its recorded outcome: claim, run, settle."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict

from nflow.bus.port import Job
from nflow.core.events import Provenance, RemoteError, TaskEvent
from nflow.core.jobs import TaskJob
from nflow.engine.claims import Claim
from nflow.errors import NflowError, TooLarge
from nflow.worker.calls import TaskCalls
from nflow.worker.death import Death
from nflow.worker.ending import Ending, Why
from nflow.worker.judgement import Judge
from nflow.worker.means import Means
from nflow.worker.pace import Pace
from nflow.worker.slot import Outcome, Slot, SlotDied
from nflow.worker.stops import Stops

#: A claimed task that finds no free slot for so long is given back, for a worker that has one.
PATIENCE = 1.0

#: Seconds for which the end of a task waits until what it has printed is stored.
LAST_WORDS = 3.0


class Execution:
    """One execution of an attempt, in this worker."""

    def __init__(self, means: Means, job: Job, task: TaskJob, pace: Pace, stops: Stops) -> None:
        self.job = job
        self.task = task
        self.started = False  #: the claim may have been made
        self.begun = False  #: user code may have run
        self.log = means.engine.subjects.log(task.run, task.dag)
        self._lines = means.engine.subjects.lines(task.run, task.dag, task.task)
        self._means = means
        self._pace = pace
        self._stops = stops
        self._claim: Claim | None = None
        self._slot: Slot | None = None
        self._ending: Ending | None = None
        self._given_back = False
        self._lost = False
        self._start = self._began = 0.0  #: by the host's clock, which may be set, and by one that never is

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
            self._means.pool.release(slot)
        if self._lost:
            return
        if outcome is not None:
            await self._settle(self._claim, outcome, slot)
        elif self._given_back:
            await self.release()

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
        if stop is None or self._slot is None or self._ending is None:
            return
        self._slot.flag_stop()
        if stop.grace is not None:
            words = f"{stop.reason}; it did not end within {stop.grace:g} s"
            self._ending.after(stop.grace, Why.STOPPED, words)

    def give_back(self) -> None:
        """End the user code here; another worker begins the attempt again."""
        self._given_back = True
        if self._ending is not None:
            self._ending.after(0.0, Why.RECALLED, "its worker was stopped")

    async def _run_in(self, slot: Slot, claim: Claim) -> TaskEvent | bytes | None:
        """Run it; the event that says how it did, or what the slot has packed of it. None: it is to be given back."""
        self._slot = slot
        self._ending = ending = Ending(slot, self._means.kill_after)
        self.begun = True
        if claim.lost:  # their workers are gone; what their code had started may still be at work on this machine
            for number in range(1, claim.execution):
                await self._means.end_strays(self.task.execution(number))
        self._start, self._began = time.time(), time.monotonic()
        judge = self._judge(claim)
        try:
            request = await self._request(slot, claim)
            if not await self._is_still_held(claim):
                return None
            result = await self._result_of(slot, request, ending)
        except NflowError as error:  # code or input that cannot be fetched any more
            return judge.failure(RemoteError(type=type(error).__name__, message=str(error)))
        finally:
            ending.close()
        if ending.verdict is not None or isinstance(result, Death):
            slot.kill()  # with all that it has started, before anybody hears that it is over
            await slot.end()
            await self._means.end_strays(self.task.execution(claim.execution))
        if ending.verdict is None and self._given_back and isinstance(result, Death):
            return None
        return judge.judged(slot, result, ending.verdict)

    def _judge(self, claim: Claim) -> Judge:
        return Judge(
            task=self.task,
            execution=claim.execution,
            kill_after=self._means.kill_after,
            provenance=self._provenance,
        )

    async def _is_still_held(self, claim: Claim) -> bool:
        """Whether the code may begin: what it needs may have come late, to one that was away and has a successor."""
        if self.job.is_leased or await claim.still_mine():
            return True
        claim.drop()
        self._lost = True
        return False

    async def _result_of(self, slot: Slot, request: Sequence[object], ending: Ending) -> Outcome | Death:
        self.check_stop()
        if self.task.timeout is not None:
            ending.after(self.task.timeout, Why.TIMED_OUT, f"took longer than its timeout of {self.task.timeout:g} s")
        began = asyncio.get_running_loop().time()  # a clock that nobody sets back
        slot.known_code.add(self.task.code)  # now it is sent there
        try:
            outcome = await slot.run(
                request,
                subject=self._lines,
                attempt=self.task.attempt,
                call=TaskCalls(self._means.engine, self._means.pool, self._means.watches, self.task),
            )
        except SlotDied as died:
            return died.death
        self._pace.took(asyncio.get_running_loop().time() - began)
        return outcome

    async def _request(self, slot: Slot, claim: Claim) -> tuple[object, ...]:
        """What the slot needs to know. Code goes there once, and stays in its hands."""
        task, means = self.task, self._means
        given = None if task.input_blob is None else await means.engine.blobs.get(task.input_blob)
        code = None
        if task.code not in slot.known_code:
            code = await means.code.get(task.code)
        terms = asdict(means.engine.terms)
        return self.job.payload, given, code, claim.execution, means.engine.holdings.worker, means.host, terms

    async def _settle(self, claim: Claim, outcome: TaskEvent | bytes, slot: Slot) -> None:
        with contextlib.suppress(TimeoutError):  # no outcome waits longer for what is but a line
            async with asyncio.timeout(LAST_WORDS):
                await self._means.engine.bus.posted(self._lines)  # so whoever hears of the end finds them all
        try:
            await claim.settle(outcome)
        except TooLarge as too_large:
            message = f"What the task hands on, with all its names, does not fit into a message. {too_large}"
            error = RemoteError(type="TooLarge", message=message)
            await claim.settle(self._judge(claim).failure(error, slot))

    def _provenance(self, pid: int) -> Provenance:
        worker = self._means.engine.holdings.worker
        end = self._start + (time.monotonic() - self._began if self._began else 0.0)
        return Provenance(worker=worker, host=self._means.host, pid=pid, start=self._start, end=end)

    async def _still_mine(self) -> bool:
        return self._claim is None or await self._claim.still_mine()

    def _stand_down(self) -> None:
        """A successor runs this attempt: end the user code here, and say nothing of how."""
        self._lost = True
        if self._slot is not None:
            self._slot.kill()
