"""From a plan that breaks a guarantee to a smaller one that still does: what does not matter is taken away."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.simulation.plan import DagPlan, Noise, Plan, RetryPlan, RunPlan, TaskPlan

#: Plans that are tried at most.
MOST_TRIES = 600


def shrunk(plan: Plan, still_fails: Callable[[Plan], bool], *, tries: int = MOST_TRIES) -> Plan:
    """The smallest plan that was found; each one that is tried lacks one thing of the one before."""
    while True:
        for smaller in _smaller(plan):
            tries -= 1
            if tries < 0:
                return plan
            if still_fails(smaller):
                plan = smaller
                break
        else:
            return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """What lacks one thing, the large ones first."""
    for name in ("runs", "stops", "retries", "faults", "workers"):
        for fewer in _without_one(getattr(plan, name)):
            if fewer or name not in ("runs", "workers"):
                yield _consistent(replace(plan, **{name: fewer}))
    yield from _with_less_noise(plan)
    for retry in plan.retries:
        for simpler in _smaller_retry(retry):
            yield replace(plan, retries=tuple(simpler if each is retry else each for each in plan.retries))
    for run in plan.runs:
        for smaller in _smaller_run(run):
            yield replace(plan, runs=tuple(smaller if each is run else each for each in plan.runs))


def _with_less_noise(plan: Plan) -> Iterator[Plan]:
    if plan.noise != Noise():
        yield replace(plan, noise=Noise())
        for name in ("slow", "lost", "twice", "unheard", "silent"):
            if getattr(plan.noise, name):
                yield replace(plan, noise=replace(plan.noise, **{name: 0.0}))


def _smaller_retry(retry: RetryPlan) -> Iterator[RetryPlan]:
    plain = RetryPlan(run=retry.run, end=retry.end, after=retry.after)
    for name in RetryPlan.__slots__:
        if getattr(retry, name) != getattr(plain, name):
            yield replace(retry, **{name: getattr(plain, name)})


def _smaller_run(run: RunPlan) -> Iterator[RunPlan]:
    for fewer in _without_one(run.dags):
        if fewer:
            yield replace(run, dags=fewer)
    if run.dies_after is not None:
        yield replace(run, dies_after=None)
    if run.deadline is not None:
        yield replace(run, deadline=None)
    for dag in run.dags:
        for other in _smaller_dag(dag):
            yield replace(run, dags=tuple(other if each is dag else each for each in run.dags))


def _smaller_dag(dag: DagPlan) -> Iterator[DagPlan]:
    for tasks in _without_one(dag.tasks):
        names = {task.id for task in tasks}
        yield replace(dag, tasks=tasks, edges=tuple(edge for edge in dag.edges if names.issuperset(edge)))
    for edges in _without_one(dag.edges):
        yield replace(dag, edges=edges)
    for task in dag.tasks:
        for other in _smaller_task(task):
            yield replace(dag, tasks=tuple(other if each is task else each for each in dag.tasks))


def _smaller_task(task: TaskPlan) -> Iterator[TaskPlan]:
    for steps in _without_one(task.steps):
        yield replace(task, steps=steps)
    plain = TaskPlan(id=task.id)
    for name in TaskPlan.__slots__:
        if name != "steps" and getattr(task, name) != getattr(plain, name):
            yield replace(task, **{name: getattr(plain, name)})


def _without_one(items: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for position in range(len(items)):
        yield items[:position] + items[position + 1 :]


def _consistent(plan: Plan) -> Plan:
    """Nobody stops or retries a run that is not there."""
    runs = {run.id for run in plan.runs}
    stops = tuple(stop for stop in plan.stops if stop.run in runs)
    return replace(plan, stops=stops, retries=tuple(retry for retry in plan.retries if retry.run in runs))
