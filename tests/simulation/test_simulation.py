"""The simulation holds what it promises: every guarantee, the same story each time, and no bug goes unnoticed."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.simulation.plan import Kind, Noise, Plan, RunPlan, plan_of
from tests.simulation.planted import BUGS
from tests.simulation.shrink import shrunk
from tests.simulation.story import told
from tests.simulation.world import simulate

#: Seeds of the healthy run.
SEEDS = 200

#: Seeds among which each bug must be found, and one that shows it at present, which is tried first.
WITHIN = 400
SHOWS = {"no-fencing": 218, "ack-before-outcome": 43, "death-by-redelivery": 34}

_DIGESTS = """
from tests.simulation.plan import plan_of
from tests.simulation.world import simulate
print(*(simulate(plan_of(seed)).digest for seed in range(20, 30)))
"""


def digests_of_a_process(*, hash_seed: int) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [sys.executable, "-c", _DIGESTS], env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.split()


def test_every_guarantee_holds_whatever_goes_wrong():
    broken = {seed: str(found) for seed in range(SEEDS) if (found := simulate(plan_of(seed)).broken)}

    assert broken == {}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug):
    seeds = (SHOWS.get(bug, 0), *range(WITHIN))

    found = next((seed for seed in seeds if simulate(plan_of(seed), BUGS[bug]).broken), None)

    assert found is not None


def test_a_seed_has_the_same_story_in_every_process():
    first, second = digests_of_a_process(hash_seed=1), digests_of_a_process(hash_seed=2)

    assert first == second
    assert len(set(first)) == 10


def test_a_seed_has_the_same_story_twice_in_one_process():
    assert simulate(plan_of(7)).digest == simulate(plan_of(7)).digest


def test_another_seed_has_another_story():
    assert simulate(plan_of(7)).digest != simulate(plan_of(8)).digest


def test_the_seeds_bring_faults_of_every_kind():
    kinds = {fault.kind for seed in range(SEEDS) for fault in plan_of(seed).faults}

    assert kinds == set(Kind)


def test_the_seeds_bring_retries_time_limits_and_deadlines():
    plans = [plan_of(seed) for seed in range(SEEDS)]
    runs = [run for plan in plans for run in plan.runs]

    retries = [retry for plan in plans for retry in plan.retries]
    assert any(retry.tasks for retry in retries)
    assert any(retry.stops is not None for retry in retries)
    assert any(retry.end > 1 for retry in retries)
    assert any(run.deadline is not None for run in runs)
    assert any(task.timeout is not None and task.fails for run in runs for dag in run.dags for task in dag.tasks)


def test_what_does_not_matter_is_taken_away():
    def has_edges(plan: Plan) -> bool:
        return any(len(dag.edges) > 0 for run in plan.runs for dag in run.dags)

    plan = next(plan for seed in range(SEEDS) if has_edges(plan := plan_of(seed)) and len(plan.runs) > 1)

    smallest = shrunk(plan, has_edges, tries=10_000)

    [run] = smallest.runs
    [dag] = run.dags
    assert len(dag.tasks) == 2
    assert smallest.stops == smallest.retries == smallest.faults == ()
    assert smallest.noise == Noise()


def test_a_shrunk_plan_still_breaks_the_same_guarantee():
    bug = BUGS["stop-in-memory"]
    plan = next(plan_of(seed) for seed in range(WITHIN) if simulate(plan_of(seed), bug).broken)
    broken = simulate(plan, bug).broken
    assert broken is not None

    smallest = shrunk(plan, lambda smaller: _broken(smaller, bug) == broken.guarantee, tries=60)

    assert _broken(smallest, bug) == broken.guarantee
    assert _size(smallest) < _size(plan)


def test_a_story_tells_the_plan_the_events_and_what_broke():
    bug = BUGS["stop-in-memory"]
    plan = next(plan_of(seed) for seed in range(WITHIN) if simulate(plan_of(seed), bug).broken)

    story = list(told(plan, simulate(plan, bug, tells_story=True)))

    assert story[0] == f"seed {plan.seed}"
    assert any("TaskStarted" in line for line in story)
    assert story[-1].startswith("broken: ")


def test_a_run_whose_client_dies_early_is_owed_nothing():
    plan = plan_of(7)
    dead = replace(plan, runs=tuple(_dying(run) for run in plan.runs), stops=(), faults=(), noise=Noise())

    outcome = simulate(dead)

    assert outcome.broken is None
    assert outcome.runs == 0


def _dying(run: RunPlan) -> RunPlan:
    return replace(run, dies_after=1)


def _broken(plan: Plan, bug: type) -> str | None:
    broken = simulate(plan, bug).broken
    return None if broken is None else broken.guarantee


def _size(plan: Plan) -> int:
    return sum(len(dag.tasks) for run in plan.runs for dag in run.dags) + len(plan.stops) + len(plan.faults)
