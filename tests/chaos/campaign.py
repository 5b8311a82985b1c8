"""A campaign: a load, a storm over it, then calm, and the accounting. In parts, one for each kind of store."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from nflow.bus.paging import all_records
from nflow.bus.port import LEASE
from nflow.core.dataset import Dataset
from nflow.core.events import Event, RunStarted, TaskSucceeded
from nflow.core.ids import RunId
from nflow.engine.upkeep.forgotten import EVERY
from nflow.runs import Runs
from nflow.wire.messages import unpack_events
from nflow.wire.subjects import event_place, name_of
from tests.chaos.account import TAKEOVER, Account, Case, Entry, Fact, Takeover, Verdict, account
from tests.chaos.faults import Faults
from tests.chaos.histories import history_differences
from tests.chaos.leftovers import late_data, leftovers, sweep_in_two_days
from tests.chaos.load import Load
from tests.chaos.plans import PLANS, Plan
from tests.chaos.site import Site, dump
from tests.chaos.storm import Storm
from tests.servers import mongod

#: Seconds within which all runs end once nothing is done to nflow any more.
CALM = 60.0

#: Seconds within which workers find a job that the server has forgotten, and are done with it if its run has ended.
FOUND_WITHIN = EVERY + LEASE + 10.0

#: Seconds between two lines that tell how it goes on.
TELL = 10.0


@dataclass(slots=True, kw_only=True)
class Part:
    """What came of a part of a campaign."""

    store: str
    seconds: float = 0.0  #: of load and storm
    calm: float = 0.0  #: seconds until all runs had ended
    submitted: int = 0
    untold: int = 0  #: runs of commands that were told of a failure, and were begun all the same
    refused: int = 0  #: commands that found no server
    accounts: list[Account] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    late: list[str] = field(default_factory=list)  #: data of ended runs that are left to the sweep
    left: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  #: of no single run
    errors: list[str] = field(
        default_factory=list
    )  #: what workers have told of themselves as such: no promise is broken
    evidence: Path

    @property
    def verdicts(self) -> Counter[Verdict]:
        """How many runs came to which end."""
        return Counter(each.verdict for each in self.accounts)

    @property
    def repeated(self) -> Counter[str]:
        """Executions beyond the first of their attempts, by what explains them."""
        return sum((each.repeated for each in self.accounts), Counter())

    @property
    def takeovers(self) -> list[Takeover]:
        """All of them."""
        return [takeover for each in self.accounts for takeover in each.takeovers]

    @property
    def slow(self) -> list[str]:
        """Takeovers that took too long though nothing else was wrong."""
        return [
            f"{each.run}: {each.seconds:.1f} s until somebody had {'a task' if each.of_task else 'a run'} of the dead"
            for each in self.takeovers
            if each.is_alone and each.seconds > TAKEOVER
        ]

    @property
    def broken(self) -> list[str]:
        """Every guarantee that was not kept, in words."""
        of_runs = [f"{each.run}: {trouble}" for each in self.accounts for trouble in each.troubles]
        missing = self.submitted + self.untold - len(self.accounts)
        uncounted = [f"{missing} runs are not accounted for"] if missing else []
        return [*of_runs, *uncounted, *self.left, *self.troubles, *self.slow]


def available() -> list[str]:
    """Where the store of runs can be kept here."""
    try:
        mongod()
    except pytest.skip.Exception:
        return ["nats"]
    return ["nats", "mongodb"]


async def campaign(
    folder: Path, stores: Sequence[str], *, seconds: float, seed: int, say: Callable[[str], None]
) -> list[Part]:
    """One part for each store, one after the other, which share the seconds of harm."""
    return [
        await play(folder / store, seconds=seconds / len(stores), with_database=store == "mongodb", seed=seed, say=say)
        for store in stores
    ]


async def play(folder: Path, *, seconds: float, with_database: bool, seed: int, say: Callable[[str], None]) -> Part:
    """A part of a campaign, and its account; what is needed to understand it is left in `folder`."""
    site = Site(folder, with_database)
    part = Part(store="mongodb" if with_database else "nats", evidence=folder)
    try:
        client = await site.open()
        load = Load(site, client, seed)
        await load.open()
        try:
            await _rage(site, load, part, seconds, seed, say)
            await _settle(site, load, part, say)
        finally:
            await load.close()
        await _account(site, client, load, part)
        part.troubles += await history_differences(client, folder / "history.db")
    finally:
        await site.close()
        part.errors = site.errors()
        dump(folder / "faults.json", part.faults.all)
    return part


async def _rage(site: Site, load: Load, part: Part, seconds: float, seed: int, say: Callable[[str], None]) -> None:
    """Work and harm together, for so long."""
    storm = Storm(site, load.client, part.faults, seed)
    began = time.monotonic()
    works = [asyncio.ensure_future(each) for each in (load.run(), storm.run(), _tell(load, part, seconds, say))]
    try:
        done, _ = await asyncio.wait(works, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for work in done:
            work.result()  # none of them ends by itself
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await storm.calm()
        await load.settled()
    part.seconds = time.monotonic() - began


async def _tell(load: Load, part: Part, seconds: float, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(TELL)  # a clock
        counts = ", ".join(f"{count} {kind}" for kind, count in part.faults.counts().items() if count)
        passed = time.monotonic() - began
        say(
            f"[{part.store}] {passed:.0f} of {seconds:.0f} s: {len(load.submitted)} runs submitted, "
            f"{len(load.under_way)} under way; {counts}"
        )


async def _settle(site: Site, load: Load, part: Part, say: Callable[[str], None]) -> None:
    """Calm, until all runs have ended and all workers are gone."""
    say(f"[{part.store}] calm: {len(load.under_way)} runs are to end")
    began = time.monotonic()
    with suppress(TimeoutError):  # the account tells which have not
        await load.all_ended(CALM)
    part.calm = time.monotonic() - began
    await _nothing_waits(load.client)
    part.troubles += await site.drain()
    part.troubles += [f"a worker ended by itself: {story}" for story in site.ended_by_themselves]


async def _nothing_waits(client: Runs) -> None:
    """Return when no job is left, or when workers ought to have found each that a killed server has brought back."""
    until = time.monotonic() + FOUND_WITHIN
    jobs = client.engine.subjects.all_jobs()
    while time.monotonic() < until and await client.engine.bus.heads(jobs, 1):  # noqa: ASYNC110 - no job tells of its end
        await asyncio.sleep(1.0)


async def _account(site: Site, client: Runs, load: Load, part: Part) -> None:
    part.submitted, part.refused = len(load.submitted), load.refused
    entries = _entries(site.ledger_file)
    plans: dict[RunId, Plan | None] = {each.run: each.plan for each in load.submitted}
    for run in await _runs_on_record(client):
        if run not in plans:
            plans[run] = None
            part.untold += 1
    for run, plan in plans.items():
        facts, workflow = await _facts(client, run)
        case = Case(
            run=run,
            plan=plan or PLANS[workflow],
            asked_to_stop=run in load.stopped,
            facts=facts,
            entries=entries.get(run, ()),
        )
        result = account(case, part.faults, site.names)
        part.accounts.append(result)
        if result.troubles or any(each.is_alone and each.seconds > TAKEOVER for each in result.takeovers):
            _keep(site.folder / "logs" / f"run-{run}.txt", case, result)
    succeeded = {each.run for each in part.accounts if each.verdict is Verdict.SUCCEEDED}
    part.late = await late_data(client, succeeded & {each.run for each in part.accounts if each.may_leave_data})
    if part.late:
        await sweep_in_two_days(client)
    part.left = await leftovers(site, client, succeeded, part.faults)


async def _runs_on_record(client: Runs) -> list[RunId]:
    subjects = client.engine.subjects
    heads = await client.engine.bus.heads(f"{subjects.namespace}.event.>", 3)
    return sorted(RunId(head.rpartition(".")[2]) for head in heads)


async def _facts(client: Runs, run: RunId) -> tuple[list[Fact], str]:
    """All events of a run, and of which workflow it is."""
    facts, workflow = [], ""
    async for record in all_records(client.engine.bus, client.engine.subjects.run_events(run)):
        dag = event_place(record.subject).dag
        for event in unpack_events(record.payload):
            if isinstance(event, RunStarted):
                workflow = event.workflow
            dag_name = "" if dag == "_" else str(name_of(dag))
            facts.append(Fact(event=_light(event), at=record.at, seq=record.seq, dag=dag_name))
    return facts, workflow


def _light(event: Event) -> Event:
    """An event without what tasks hand on, which says nothing here."""
    return replace(event, output=Dataset()) if isinstance(event, TaskSucceeded) else event


def _entries(file: Path) -> dict[str, list[Entry]]:
    """What tasks left, by run."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for line in file.read_text().splitlines():
        what, at, run, dag, task, pid, parent = line.split()
        found[run].append(Entry(what=what, at=float(at), dag=dag, task=task, pid=int(pid), parent=int(parent)))
    return found


def _keep(path: Path, case: Case, result: Account) -> None:
    """Leave all that is known of a run as text."""
    moments: list[tuple[float, str]] = [(fact.at, f"{fact.seq} {fact.dag} {fact.event}") for fact in case.facts]
    moments += [(entry.at, f"ledger: {entry}") for entry in case.entries]
    story = [f"{at:.3f} {text}" for at, text in sorted(moments)]
    head = [f"{case.run}: {case.plan}", f"asked to stop: {case.asked_to_stop}", str(result.verdict)]
    path.write_text("\n".join([*head, *result.troubles, *map(str, result.takeovers), "", *story]))
