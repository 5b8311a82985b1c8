"""What is broken is told: each promise of nflow, broken on paper, and what excuses it."""

import pytest

from nflow.core.events import (
    DagFinished,
    DagStarted,
    OwnerChanged,
    Provenance,
    RemoteError,
    RunFinished,
    Status,
    StopRequested,
    TaskCancelled,
    TaskFailed,
    TaskReleased,
    TaskStarted,
    TaskSucceeded,
)
from tests.chaos.account import Case, Entry, Fact, Verdict, account
from tests.chaos.faults import Fault, Faults, Kind
from tests.chaos.plans import Plan

DAG, TASK = "main:1", "one"
WORKERS = {100: ("w1",), 200: ("w0", "w2"), 300: ("w3",), 400: ("w4",)}
NO_FAULTS = Faults()


def claim(worker="w1", *, execution=1, attempt=1):
    return TaskStarted(task=TASK, attempt=attempt, execution=execution, worker=f"{worker}-abc123", host="here")


def success(*, pid=101, execution=1, attempt=1):
    return TaskSucceeded(task=TASK, attempt=attempt, execution=execution, provenance=_by(pid))


def failure(kind="ValueError", *, pid=101, execution=1, attempt=1):
    error = RemoteError(type=kind, message="no")
    return TaskFailed(task=TASK, attempt=attempt, execution=execution, error=error, provenance=_by(pid))


def _by(pid):
    return Provenance(worker="w1-abc123", host="here", pid=pid, start=0.0, end=1.0)


def begun(at, *, pid=101, parent=100):
    return Entry(what="start", at=at, dag=DAG, task=TASK, pid=pid, parent=parent)


def done(at, *, pid=101, parent=100):
    return Entry(what="end", at=at, dag=DAG, task=TASK, pid=pid, parent=parent)


def run(*moments, status=Status.SUCCEEDED, entries=(), faults=NO_FAULTS, plan=None, stopped=False):
    """The account of a run with one task, to which these things happened, at one second after the other."""
    story = [
        ("", DagStarted(key="key", dag=DAG)),
        *((DAG, moment) for moment in moments),
        ("", DagFinished(dag=DAG, status=status)),
        ("", RunFinished(status=status)),
    ]
    facts = [Fact(event=event, at=float(at), seq=at, dag=dag) for at, (dag, event) in enumerate(story)]
    case = Case(run="r1", plan=plan or Plan(workflow="chain"), asked_to_stop=stopped, facts=facts, entries=entries)
    return account(case, faults, WORKERS)


ONE_GOOD = (begun(1.1), done(1.9))


def lost(kind=Kind.WORKER_KILLED, at=1.5, worker="w1", end=None):
    return Faults([Fault(kind=kind, start=at, end=at + 5.0 if end is None else end, worker=worker, pid=100)])


def test_a_run_in_which_nothing_happens_keeps_all_promises():
    result = run(claim(), success(), entries=ONE_GOOD)

    assert (result.verdict, result.troubles) == (Verdict.SUCCEEDED, [])


def test_a_run_of_which_nothing_is_on_record_is_lost():
    result = account(Case(run="r1", plan=Plan(workflow="chain")), NO_FAULTS, WORKERS)

    assert result.verdict is Verdict.LOST
    assert result.troubles


def test_a_run_without_an_end_hangs():
    facts = [Fact(event=DagStarted(key="key", dag=DAG), at=0.0, seq=1)]

    result = account(Case(run="r1", plan=Plan(workflow="chain"), facts=facts), NO_FAULTS, WORKERS)

    assert result.verdict is Verdict.HUNG
    assert result.troubles


@pytest.mark.parametrize("fault", [Kind.WORKER_KILLED, Kind.WORKER_FROZEN, Kind.BLACK_HOLE])
def test_a_second_execution_is_explained_by_what_took_the_first_ones_worker_away(fault):
    entries = (begun(1.1), begun(2.1, pid=201, parent=200), done(2.9, pid=201, parent=200))

    result = run(claim(), claim("w2", execution=2), success(pid=201, execution=2), entries=entries, faults=lost(fault))

    assert result.troubles == []
    assert result.repeated == {fault.value: 1}


@pytest.mark.parametrize(
    "faults",
    [
        NO_FAULTS,
        lost(Kind.CUT),
        lost(Kind.DELAY),
        lost(Kind.SERVER_KILLED, worker=None),
        lost(worker="w2"),
        lost(at=0.2, end=0.5),
        lost(at=2.5),
    ],
    ids=["nothing", "a cut", "a delay", "an outage", "another worker's death", "earlier", "later"],
)
def test_a_second_execution_is_explained_by_nothing_else(faults):
    entries = (begun(1.1), begun(2.1, pid=201, parent=200), done(2.9, pid=201, parent=200))

    result = run(claim(), claim("w2", execution=2), success(pid=201, execution=2), entries=entries, faults=faults)

    assert len(result.troubles) == 1


def test_a_claim_that_was_given_back_explains_the_next_one():
    released = TaskReleased(task=TASK, attempt=1, execution=1)
    entries = (begun(3.1, pid=201, parent=200), done(3.9, pid=201, parent=200))

    result = run(claim(), released, claim("w2", execution=2), success(pid=201, execution=2), entries=entries)

    assert result.troubles == []


@pytest.mark.parametrize(
    "entries",
    [
        (*ONE_GOOD, begun(1.5, pid=102)),
        (begun(1.1, pid=201, parent=200), done(1.9)),
        (begun(0.5), done(1.9)),
    ],
    ids=["twice for one claim", "by another worker", "before the claim"],
)
def test_code_that_runs_without_a_claim_is_told(entries):
    result = run(claim(), success(), entries=entries)

    assert len(result.troubles) == 1


def test_code_that_runs_after_its_success_is_told():
    entries = (begun(2.1, pid=201, parent=200), done(2.9, pid=201, parent=200), begun(7.0))
    story = (claim(), claim("w2", execution=2), success(pid=201, execution=2))

    excused = run(*story, entries=entries, faults=lost(Kind.WORKER_FROZEN))
    killed_late = run(*story, entries=entries, faults=lost(Kind.WORKER_FROZEN, at=8.0))

    assert excused.troubles == []
    assert any("after its success" in trouble for trouble in killed_late.troubles)


@pytest.mark.parametrize(
    "story",
    [
        (claim(), success(), success()),
        (claim(), success(), claim("w2", execution=2)),
        (claim(), success(), failure("Planned")),
        (claim(), failure("Planned"), failure("Planned"), claim(attempt=2), success(attempt=2)),
    ],
    ids=["two successes", "a claim behind it", "a failure behind it", "two failures of one attempt"],
)
def test_an_outcome_that_is_doubled_is_told(story):
    plan = Plan(workflow="chain", failures=frozenset({"Planned"}))

    result = run(*story, entries=(begun(1.1), begun(1.2), done(1.3)), plan=plan)

    assert result.troubles


def cancellation(attempt):
    return TaskCancelled(task=TASK, reason="stopped", attempt=attempt)


@pytest.mark.parametrize(
    ("attempts", "is_fine"), [((0,), True), ((1,), True), ((0, 1), True), ((0, 0), False), ((1, 1), False)]
)
def test_a_task_that_never_ran_may_be_cancelled_as_it_waits_and_as_it_becomes_ready(attempts, is_fine):
    result = run(*map(cancellation, attempts), status=Status.STOPPED, stopped=True)

    assert (result.troubles == []) == is_fine


def test_a_success_whose_code_never_came_to_its_end_is_told():
    result = run(claim(), success(), entries=(begun(1.1),))

    assert len(result.troubles) == 1


def test_a_failure_that_nobody_planned_is_told():
    result = run(claim(), failure(), status=Status.FAILED, entries=(begun(1.1),))

    assert result.verdict is Verdict.WRONG
    assert len(result.troubles) == 2


def test_a_planned_failure_is_none_of_nflows():
    plan = Plan(workflow="fails", status=Status.FAILED, failures=frozenset({"Planned"}))

    result = run(claim(), failure("Planned"), status=Status.FAILED, entries=(begun(1.1),), plan=plan)

    assert (result.verdict, result.troubles) == (Verdict.FAILED, [])


def test_a_run_that_was_to_fail_and_has_succeeded_ends_wrongly():
    plan = Plan(workflow="fails", status=Status.FAILED, failures=frozenset({"Planned"}))

    result = run(claim(), success(), entries=ONE_GOOD, plan=plan)

    assert result.verdict is Verdict.WRONG


def test_a_failure_is_explained_by_the_death_of_its_slot():
    killed = Faults([Fault(kind=Kind.SLOT_KILLED, start=1.5, worker="w1", pid=101)])

    result = run(claim(), failure("SlotDied"), status=Status.FAILED, entries=(begun(1.1),), faults=killed)

    assert (result.verdict, result.troubles) == (Verdict.CHAOS, [])


@pytest.mark.parametrize(("deaths", "verdict"), [(3, Verdict.CHAOS), (2, Verdict.WRONG)])
def test_an_attempt_that_was_lost_three_times_is_explained_by_three_faults(deaths, verdict):
    story = [claim(f"w{number}", execution=number) for number in (1, 2, 3)]
    kills = [
        Fault(kind=Kind.WORKER_KILLED, start=number + 0.5, worker=f"w{number}", pid=100 * number)
        for number in range(1, deaths + 1)
    ]
    entries = [begun(number + 0.1, pid=100 * number + 1, parent=100 * number) for number in (1, 2, 3)]

    result = run(
        *story, failure("WorkerLost", pid=0, execution=3), status=Status.FAILED, entries=entries, faults=Faults(kills)
    )

    assert result.verdict is verdict
    assert bool(result.troubles) == (verdict is Verdict.WRONG)


def test_a_dag_without_an_end_is_told():
    facts = [
        Fact(event=DagStarted(key="key", dag=DAG), at=0.0, seq=1),
        Fact(event=RunFinished(status=Status.SUCCEEDED), at=1.0, seq=2),
    ]

    result = account(Case(run="r1", plan=Plan(workflow="chain"), facts=facts), NO_FAULTS, WORKERS)

    assert len(result.troubles) == 1


def test_a_run_that_goes_on_in_spite_of_a_stop_is_told():
    stop = Fact(event=StopRequested(reason="enough", by="somebody"), at=0.5, seq=1)
    facts = [
        Fact(event=DagStarted(key="key", dag=DAG), at=0.0, seq=0),
        stop,
        Fact(event=DagFinished(dag=DAG, status=Status.SUCCEEDED), at=1.0, seq=2),
        Fact(event=RunFinished(status=Status.SUCCEEDED), at=1.0, seq=3),
    ]

    result = account(Case(run="r1", plan=Plan(workflow="chain"), asked_to_stop=True, facts=facts), NO_FAULTS, WORKERS)

    assert len(result.troubles) == 1


def test_a_stop_that_nobody_asked_for_is_told():
    asked, unasked = (run(status=Status.STOPPED, stopped=stopped) for stopped in (True, False))

    assert (asked.verdict, asked.troubles) == (Verdict.STOPPED, [])
    assert unasked.verdict is Verdict.WRONG


def test_a_takeover_is_measured_from_the_death_to_the_next_owner():
    owners = (OwnerChanged(worker="w1-abc123"), OwnerChanged(worker="w2-abc123"))

    result = run(*owners, faults=lost(at=1.25))

    assert [(each.seconds, each.of_task) for each in result.takeovers] == [(0.75, False)]


@pytest.mark.parametrize(
    ("kind", "at", "may"),
    [
        (Kind.BLACK_HOLE, 2.5, True),
        (Kind.WORKER_FROZEN, 2.5, True),
        (Kind.SERVER_KILLED, 4.5, True),
        (Kind.SERVER_KILLED, 2.5, False),
        (Kind.SERVER_KILLED, 7.5, False),
        (Kind.WORKER_KILLED, 2.5, False),
    ],
)
def test_data_may_be_left_by_who_was_cut_off_or_by_a_server_that_forgot_their_removal(kind, at, may):
    faults = Faults([Fault(kind=kind, start=at, end=at + 0.1)])

    result = run(claim(), success(), entries=ONE_GOOD, faults=faults)

    assert result.may_leave_data is may
