"""Does the harm: each kind of fault by a clock of its own, all of them from one seed."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress

from nflow.bus.port import LEASE, Record
from nflow.core.events import OwnerChanged, TaskStarted
from nflow.runs import Runs
from nflow.wire.messages import unpack_events
from tests.chaos.account import name_of_worker
from tests.chaos.faults import Fault, Faults, Kind
from tests.chaos.site import Site, Worker
from tests.e2e.news import News

#: Seconds between two faults of a kind, on average, while nobody asks for quiet.
EVERY = 9.0

#: Every so many-th kill of a worker comes alone, so that it shows how fast nflow is when nothing else is wrong.
ALONE = 3

#: Seconds of quiet before and behind such a kill: what was before is to be over, and a takeover may last five.
QUIET_BEFORE = 4.0
QUIET_AFTER = 7.0

#: A fault that is to take work away lasts longer than a lease.
_LONG = (LEASE + 0.5, LEASE + 3.0)


class Storm:
    """Everything that is done to one site, while `run` lasts."""

    def __init__(self, site: Site, client: Runs, faults: Faults, seed: int) -> None:
        self._site = site
        self._client = client
        self._faults = faults
        self._seed = seed
        self._may_rage = asyncio.Event()
        self._may_rage.set()
        self._raging = 0
        self._news = News()
        self._pauses = random.Random(f"{seed} pauses")

    async def run(self) -> None:
        """Go on until cancelled; what is under way then is brought to its end."""
        kinds: dict[Kind, Callable[[random.Random], Awaitable[None]]] = {
            Kind.WORKER_KILLED: self._kill_worker,
            Kind.WORKER_FROZEN: self._freeze_worker,
            Kind.SLOT_KILLED: self._kill_slot,
            Kind.SERVER_KILLED: self._kill_server,
            Kind.CUT: self._cut,
            Kind.BLACK_HOLE: self._darken,
            Kind.DELAY: self._slow,
        }
        if self._site.database is not None:
            kinds[Kind.STORE_KILLED] = self._kill_store
        async with asyncio.TaskGroup() as clocks:
            for kind, do in kinds.items():
                clocks.create_task(self._tick(kind, do))

    async def calm(self) -> None:
        """Return when nothing is under way any more."""
        await self._news.until(lambda: not self._raging)

    async def _tick(self, kind: Kind, do: Callable[[random.Random], Awaitable[None]]) -> None:
        chance = random.Random(f"{self._seed} {kind}")
        # twice as often where a kind has but half of the campaign
        every = EVERY / 2 if kind is Kind.STORE_KILLED else EVERY
        number = 0
        while True:
            await asyncio.sleep(every * chance.uniform(0.5, 1.5))  # a clock
            number += 1
            if kind is Kind.WORKER_KILLED and number % ALONE == 0:
                await self._alone(chance)
                continue
            await self._may_rage.wait()
            await asyncio.shield(asyncio.ensure_future(self._rage(do, chance)))

    async def _rage(self, do: Callable[[random.Random], Awaitable[None]], chance: random.Random) -> None:
        self._raging += 1
        try:
            await do(chance)
        finally:
            self._raging -= 1
            self._news.tell()

    async def _alone(self, chance: random.Random) -> None:
        """Kill a worker while nothing else is wrong."""
        self._may_rage.clear()
        try:
            await self.calm()
            await asyncio.sleep(QUIET_BEFORE)  # a clock: what it was about has had its time
            if (worker := await self._at_work(chance.choice((TaskStarted, OwnerChanged)))) is not None:
                self._kill(worker, is_alone=True)
            await asyncio.sleep(QUIET_AFTER)  # a clock: as long as a takeover may last, and more
        finally:
            self._may_rage.set()

    async def _at_work(self, takes: type[TaskStarted | OwnerChanged]) -> Worker | None:
        """The next worker that takes a task, or a run; None if none does."""
        bus, claims = self._client.engine.bus, list[str]()

        def on_record(record: Record) -> None:
            events = unpack_events(record.payload)
            claims.extend(name_of_worker(event.worker) for event in events if isinstance(event, takes))
            self._news.tell()

        watch = bus.watch(f"{bus.namespace}.event.>", on_record)
        try:
            await self._news.until(lambda: bool(self._able(claims)))
        except TimeoutError:
            return None
        finally:
            watch.close()
        return self._able(claims)[0]

    # --- the faults ---

    async def _kill_worker(self, chance: random.Random) -> None:
        if (worker := self._choose(chance)) is not None:
            self._kill(worker)

    def _kill(self, worker: Worker, *, is_alone: bool = False) -> None:
        worker.is_killed = True
        self._note(Kind.WORKER_KILLED, worker=worker.name, pid=worker.pid, is_alone=is_alone)
        worker.process.send(signal.SIGKILL)

    async def _freeze_worker(self, chance: random.Random) -> None:
        async with self._meeting(chance) as worker:
            if worker is not None:
                fault = self._note(Kind.WORKER_FROZEN, worker=worker.name, pid=worker.pid)
                worker.process.send(signal.SIGSTOP)
                await asyncio.sleep(chance.uniform(*_LONG))  # the fault itself
                worker.process.send(signal.SIGCONT)
                fault.end = time.time()

    async def _kill_slot(self, chance: random.Random) -> None:
        worker = self._choose(chance)
        slots = worker.slots() if worker is not None else []
        if worker is not None and slots:
            pid = chance.choice(slots)
            self._note(Kind.SLOT_KILLED, worker=worker.name, pid=pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _kill_server(self, chance: random.Random) -> None:
        fault = self._note(Kind.SERVER_KILLED, pid=self._site.server.pid)
        self._site.server_up.clear()
        await asyncio.to_thread(self._site.server.kill)
        await asyncio.sleep(chance.choice((0.0, chance.uniform(0.0, 2.5))))  # the fault itself
        await asyncio.to_thread(self._site.server.start)
        fault.end = time.time()
        self._site.server_up.set()

    async def _kill_store(self, chance: random.Random) -> None:
        database = self._site.database
        assert database is not None
        fault = self._note(Kind.STORE_KILLED)
        await asyncio.to_thread(database.kill)
        await asyncio.sleep(chance.uniform(0.0, 1.5))  # the fault itself
        await asyncio.to_thread(database.start)
        fault.end = time.time()

    async def _cut(self, chance: random.Random) -> None:
        how = chance.random()
        for worker in self._some(chance, everybody=0.2):
            line = chance.choice(worker.lines)
            line.cut(only_first=how < 0.5)
            self._note(Kind.CUT, worker=worker.name).end = time.time()

    async def _darken(self, chance: random.Random) -> None:
        async with self._meeting(chance, everybody=0.15) as worker:
            met = list(self._site.workers) if worker is None else [worker]
            fault = self._note(Kind.BLACK_HOLE, worker=worker.name if worker else None)
            lines = [line for each in met for line in each.lines]
            only_old = chance.random() < 0.3  # what was under way comes when its sender has another connection
            for line in lines:
                line.darken(only_old=only_old)
            await asyncio.sleep(chance.uniform(*_LONG))  # the fault itself
            for line in lines:
                line.lighten()
            fault.end = time.time()

    async def _slow(self, chance: random.Random) -> None:
        met = self._some(chance, everybody=0.25)
        faults = [self._note(Kind.DELAY, worker=worker.name) for worker in met]
        lines = [line for worker in met for line in worker.lines]
        seconds = chance.uniform(0.02, 0.3)
        for line in lines:
            line.slow(seconds)
        await asyncio.sleep(chance.uniform(1.0, 4.0))  # the fault itself
        for line in lines:
            line.slow(0.0)
        for fault in faults:
            fault.end = time.time()

    # --- whom it meets ---

    def _note(self, kind: Kind, **what: object) -> Fault:
        fault = Fault(kind=kind, start=time.time(), **what)
        self._faults.all.append(fault)
        return fault

    def _choose(self, chance: random.Random) -> Worker | None:
        """One of those who are able."""
        return chance.choice(self._able() or [None])

    def _able(self, names: Collection[str] | None = None) -> list[Worker]:
        """Workers that take work and suffer from nothing that is their own; of these names only, if there are any."""
        able = [worker for worker in self._site.workers if worker.is_ready]
        spared = [worker for worker in able if not worker.is_met and not worker.is_killed]
        return [worker for worker in spared if names is None or worker.name in names]

    def _some(self, chance: random.Random, *, everybody: float) -> list[Worker]:
        if chance.random() < everybody:
            return list(self._site.workers)
        worker = self._choose(chance)
        return [] if worker is None else [worker]

    @asynccontextmanager
    async def _meeting(self, chance: random.Random, *, everybody: float = 0.0) -> AsyncIterator[Worker | None]:
        """One worker that is spared by other faults meanwhile; None for all of them, or where there is none."""
        worker = None if chance.random() < everybody else self._choose(chance)
        if worker is not None:
            worker.is_met = True
        try:
            yield worker
        finally:
            if worker is not None:
                worker.is_met = False
