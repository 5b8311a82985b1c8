"""Accounts for a run: from what is on record, what its tasks left, and what the suite did, whether nflow kept its word.

Pure: nothing here asks a server or a clock.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from nflow.core.events import (
    DagFinished,
    DagStarted,
    Event,
    OwnerChanged,
    RunFinished,
    Status,
    StopRequested,
    TaskAborted,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskReleased,
    TaskSkipped,
    TaskStarted,
    TaskSucceeded,
)
from tests.chaos.faults import Fault, Faults, Kind
from tests.chaos.plans import Plan

#: What a person is promised while server and connections are well: a dead worker's work goes on within so many seconds.
TAKEOVER = 5.0

#: Seconds by which what a task notes and what the server notes may differ: it is one clock, read a little earlier.
_SLACK = 0.05

#: Seconds after which the server has synced to its disk what it was told, and a little more.
_UNSYNCED = 2.0

_SETTLES = (TaskSucceeded, TaskFailed, TaskAborted, TaskCancelled, TaskSkipped)
_LOST = "WorkerLost"


class Verdict(StrEnum):
    """What became of a run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed as planned"
    STOPPED = "stopped as planned"
    CHAOS = "failed by chaos"
    WRONG = "ended wrongly"
    HUNG = "hung"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event on record. `dag` is empty in the workflow's log."""

    event: Event
    at: float
    seq: int
    dag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a task left: that its code began in that process, or came to its end."""

    what: str
    at: float
    dag: str
    task: str
    pid: int
    parent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that is known of one run."""

    run: str
    plan: Plan
    asked_to_stop: bool = False
    facts: Sequence[Fact] = ()
    entries: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """How long it took until somebody else had a dead worker's work."""

    seconds: float
    of_task: bool  #: else it was a run or a dag run, for which no slot must be free
    is_alone: bool  #: nothing else was wrong
    run: str


@dataclass(slots=True, kw_only=True)
class Account:
    """What is said of one run."""

    run: str
    verdict: Verdict
    troubles: list[str] = field(default_factory=list)
    repeated: Counter[str] = field(default_factory=Counter)  #: executions beyond the first, by what explains them
    takeovers: list[Takeover] = field(default_factory=list)
    may_leave_data: bool = False  #: for the sweep, though it has ended well


def account(case: Case, faults: Faults, workers: Mapping[int, Collection[str]]) -> Account:
    """Whether all of `case` is as promised.

    Args:
        case: The run.
        faults: All that was done while it went on.
        workers: Names of workers by their processes.
    """
    facts = sorted(case.facts, key=lambda fact: fact.seq)
    history = _History(case, facts, faults, workers)
    result = Account(run=case.run, verdict=_verdict(history))
    result.troubles += _troubles_of_end(history, result.verdict)
    for key, own in history.tasks.items():
        result.troubles += (f"{'/'.join(key)}: {text}" for text in _troubles_of_task(history, key, own))
    result.repeated = _repeated(history)
    result.takeovers = list(_takeovers(history))
    result.may_leave_data = bool(facts) and _may_leave_data(facts[0].at, facts[-1].at, faults)
    return result


def _may_leave_data(start: float, end: float, faults: Faults) -> bool:
    """Whether somebody who had a part in it may have come back when it had ended, or its end was undone in part.

    What the server removes it does not write down at once: killed in the next moments, it has the data again.
    """
    cut_off = faults.of(Kind.BLACK_HOLE, Kind.WORKER_FROZEN)
    undone = faults.of(Kind.SERVER_KILLED)
    return any(fault.overlaps(start, end) for fault in cut_off) or any(
        fault.overlaps(end, end + _UNSYNCED) for fault in undone
    )


def name_of_worker(worker: str) -> str:
    """The name of a worker, without the tail that tells its lives apart."""
    return worker.rpartition("-")[0]


class _History:
    """A run, laid out by task."""

    def __init__(self, case: Case, facts: list[Fact], faults: Faults, workers: Mapping[int, Collection[str]]) -> None:
        self.case = case
        self.facts = facts
        self.faults = faults
        self.workers = workers
        self.tasks: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        self.entries: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for fact in facts:
            if isinstance(fact.event, TaskEvent):
                self.tasks[fact.dag, fact.event.task].append(fact)
        for entry in sorted(case.entries, key=lambda entry: entry.at):
            self.entries[entry.dag, entry.task].append(entry)
        for key in self.entries:
            self.tasks.setdefault(key, [])  # code that ran without a claim is looked at too

    def of(self, *kinds: type[Event]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact.event, kinds)]

    @property
    def stops(self) -> list[Fact]:
        """Wishes that the whole run should end."""
        return [
            fact
            for fact in self.facts
            if isinstance(fact.event, StopRequested) and not fact.dag and fact.event.dag is None
        ]

    def by_chaos(self) -> list[Fact]:
        """Failures of which a fault was the cause."""
        return [fact for fact in self.of(TaskFailed) if self._is_by_chaos(fact)]

    def is_explained(self, failed: Fact) -> bool:
        """Whether a failure was planned, was done by the suite, or follows from a stop or a failure before it."""
        event = failed.event
        assert isinstance(event, TaskFailed)
        if event.error.type in self.case.plan.failures or self._is_by_chaos(failed):
            return True
        return any(fact.seq < failed.seq for fact in [*self.of(StopRequested), *self.by_chaos()])

    def _is_by_chaos(self, fact: Fact) -> bool:
        event = fact.event
        assert isinstance(event, TaskFailed)
        if event.error.type == _LOST:
            last = [claim for claim in _claims(self.tasks[fact.dag, event.task]) if claim.seq < fact.seq]
            return len(last) >= 3 and bool(self.why_lost(last[-1], fact.at))
        return self.faults.has_killed(event.provenance.pid)

    def why_lost(self, claim: Fact, until: float) -> list[Fault]:
        """What the suite did to the worker of a claim, from then on."""
        assert isinstance(claim.event, TaskStarted)
        return self.faults.that_took_work(name_of_worker(claim.event.worker), claim.at, until)


# --- how it ended ----------------------------------------------------------------------------------------------------


def _verdict(history: _History) -> Verdict:
    finished = history.of(RunFinished)
    if not finished:
        return Verdict.HUNG if history.facts else Verdict.LOST
    assert isinstance(finished[0].event, RunFinished)
    case, status = history.case, finished[0].event.status
    match status:
        case Status.SUCCEEDED if case.plan.status is Status.SUCCEEDED:
            return Verdict.SUCCEEDED
        case Status.STOPPED if case.asked_to_stop or case.plan.status is Status.STOPPED:
            return Verdict.STOPPED
        case Status.FAILED if history.by_chaos():
            return Verdict.CHAOS
        case Status.FAILED if case.plan.status is Status.FAILED and _has_failed_as_planned(history):
            return Verdict.FAILED
    return Verdict.WRONG


def _has_failed_as_planned(history: _History) -> bool:
    failures = (fact.event for fact in history.of(TaskFailed))
    return any(isinstance(each, TaskFailed) and each.error.type in history.case.plan.failures for each in failures)


def _troubles_of_end(history: _History, verdict: Verdict) -> Iterator[str]:
    finished = history.of(RunFinished)
    if verdict in (Verdict.LOST, Verdict.HUNG):
        yield "its id was returned, and nothing is on record" if verdict is Verdict.LOST else "it has not ended"
        return
    if verdict is Verdict.WRONG:
        yield f"it ended as {finished[0].event}, which was not planned ({history.case.plan.status})"
    if len(finished) > 1:
        yield f"it ended {len(finished)} times"
    ends = Counter(fact.event.dag for fact in history.of(DagFinished) if isinstance(fact.event, DagFinished))
    starts = {fact.event.dag for fact in history.of(DagStarted) if isinstance(fact.event, DagStarted)}
    yield from (f"dag {dag} ended {count} times" for dag, count in ends.items() if count > 1)
    yield from (f"dag {dag} was started and has not ended" for dag in starts - set(ends))
    last_dag = max((fact.seq for fact in history.of(DagFinished)), default=0)
    if verdict is Verdict.SUCCEEDED and any(stop.seq < last_dag for stop in history.stops):
        yield "it succeeded although it was asked to stop before its last dag had ended"


# --- its tasks -------------------------------------------------------------------------------------------------------


def _claims(own: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in own if isinstance(fact.event, TaskStarted)]


def _troubles_of_task(history: _History, key: tuple[str, str], own: list[Fact]) -> Iterator[str]:
    yield from _outcomes(history, own)
    yield from _failures(history, own)
    yield from _lost_claims(history, own)
    yield from _executions(history, key, own)


def _outcomes(history: _History, own: list[Fact]) -> Iterator[str]:
    """One outcome for each attempt, and nothing behind the last one."""
    final = [fact for fact in own if isinstance(fact.event, _SETTLES) and not isinstance(fact.event, TaskFailed)]
    failures = Counter(fact.event.attempt for fact in own if isinstance(fact.event, TaskFailed))
    # What is cancelled while it waits may be cancelled once more when it would have become ready: somebody who read the
    # log in another order may have dispatched it, and only a look at its claim makes sure that nobody begins it.
    derived = [fact for fact in final if isinstance(fact.event, TaskCancelled) and not fact.event.attempt]
    said_twice = len(final) == 2 and len(derived) == 1 and all(isinstance(fact.event, TaskCancelled) for fact in final)
    if len(final) > 1 and not said_twice:
        yield f"it has {len(final)} outcomes: {[fact.event for fact in final]}"
    yield from (f"attempt {attempt} failed {count} times" for attempt, count in failures.items() if count > 1)
    if final and (behind := [fact for fact in own if fact.seq > final[said_twice].seq]):
        yield f"there is more on record behind its outcome: {[fact.event for fact in behind]}"
    for fact in final:
        event = fact.event
        if isinstance(event, TaskSucceeded | TaskAborted) and failures[event.attempt]:
            yield f"attempt {event.attempt} has failed and has not"


def _failures(history: _History, own: list[Fact]) -> Iterator[str]:
    for fact in own:
        if isinstance(fact.event, TaskFailed) and not history.is_explained(fact):
            error = fact.event.error
            yield f"it failed, and nothing explains why: {error.type}: {error.message} ({fact.event.provenance})"


def _lost_claims(history: _History, own: list[Fact]) -> Iterator[str]:
    """A claim after a claim: something must have happened to the first one's worker."""
    for before, after in _repeats(own):
        if not history.why_lost(before, after.at):
            yield (
                f"{_told(after)} {after.at - before.at:.1f} s after {_told(before)}, to whose worker "
                "nothing had happened that takes work away"
            )


def _repeats(own: Iterable[Fact]) -> Iterator[tuple[Fact, Fact]]:
    """Claims of one attempt, each with the one before it that was neither given back nor followed by an outcome."""
    for before, after in pairwise(own):
        if isinstance(before.event, TaskStarted) and isinstance(after.event, TaskStarted):
            yield before, after


def _told(claim: Fact) -> str:
    event = claim.event
    assert isinstance(event, TaskStarted)
    return f"{event.worker} claimed attempt {event.attempt}, execution {event.execution}"


def _executions(history: _History, key: tuple[str, str], own: list[Fact]) -> Iterator[str]:
    """Code runs once for a claim, by the worker that has made it; and a success has come to its end."""
    released = {(fact.event.attempt, fact.event.execution) for fact in own if isinstance(fact.event, TaskReleased)}
    unused = [claim for claim in _claims(own) if (claim.event.attempt, claim.event.execution) not in released]  # type: ignore[attr-defined]
    settled = next((fact for fact in own if isinstance(fact.event, _SETTLES[:1])), None)
    for entry in history.entries[key]:
        if entry.what != "start":
            continue
        claim = _claim_of(history, entry, unused)
        if claim is None:
            yield f"its code began in process {entry.pid} of {history.workers.get(entry.parent, ())} without a claim"
            continue
        unused.remove(claim)
        if settled is not None and entry.at > settled.at + _SLACK and not history.why_lost(claim, entry.at):
            yield f"its code began in process {entry.pid}, {entry.at - settled.at:.2f} s after its success was recorded"
    for fact in own:
        if isinstance(fact.event, TaskSucceeded) and not _has_come_to_its_end(history, key, fact):
            yield f"it is on record as succeeded in process {fact.event.provenance.pid}, where it never ended"


def _claim_of(history: _History, entry: Entry, unused: list[Fact]) -> Fact | None:
    """The first claim by the worker of that process which no other execution has made use of."""
    names = history.workers.get(entry.parent)  # unknown, if the worker was killed in that moment
    for claim in unused:
        assert isinstance(claim.event, TaskStarted)
        if claim.at <= entry.at + _SLACK and (names is None or name_of_worker(claim.event.worker) in names):
            return claim
    return None


def _has_come_to_its_end(history: _History, key: tuple[str, str], success: Fact) -> bool:
    assert isinstance(success.event, TaskSucceeded)
    pid = success.event.provenance.pid
    return any(
        entry.what == "end" and entry.pid == pid and entry.at <= success.at + _SLACK for entry in history.entries[key]
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def _repeated(history: _History) -> Counter[str]:
    """How many executions there were beyond the first of their attempts, by the first fault that explains each."""
    told = Counter[str]()
    for own in history.tasks.values():
        for before, after in _repeats(own):
            why = history.why_lost(before, after.at)
            told[why[0].kind.value if why else "nothing"] += 1
    return told


def _takeovers(history: _History) -> Iterator[Takeover]:
    owners: dict[str, list[Fact]] = defaultdict(list)
    for fact in history.of(OwnerChanged):
        owners[fact.dag].append(fact)
    of_tasks = (pair for own in history.tasks.values() for pair in _repeats(own))
    of_drives = (pair for own in owners.values() for pair in pairwise(own))
    for pairs, of_task in ((of_tasks, True), (of_drives, False)):
        for before, after in pairs:
            worker = name_of_worker(before.event.worker)  # type: ignore[attr-defined]
            for kill in history.faults.of(Kind.WORKER_KILLED):
                if kill.worker == worker and before.at <= kill.start <= after.at:
                    yield Takeover(
                        seconds=after.at - kill.start, of_task=of_task, is_alone=kill.is_alone, run=history.case.run
                    )
