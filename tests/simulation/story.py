"""A simulation, told to a person: the plan, what happened in order, and which guarantee broke."""

from collections.abc import Iterator

from tests.simulation.plan import DagPlan, Plan, TaskPlan
from tests.simulation.world import Outcome


def told(plan: Plan, outcome: Outcome) -> Iterator[str]:
    """The lines of the story."""
    yield f"seed {plan.seed}"
    for worker in plan.workers:
        yield f"  worker {worker.name}: {worker.slots} slots, from {worker.at:.4f} s"
    for run in plan.runs:
        dies = "" if run.dies_after is None else f", its client dies with call {run.dies_after}"
        limit = "" if run.deadline is None else f", deadline {run.deadline:.4f} s"
        yield f"  run {run.id} at {run.at:.4f} s{dies}{limit}"
        for dag in run.dags:
            yield from _dag(dag)
    for stop in plan.stops:
        yield f"  stop of {stop.run} {stop.dag or ''} at {stop.at:.4f} s, grace {stop.grace}"
    for retry in plan.retries:
        tasks = f" from {' '.join(retry.tasks)}" if retry.tasks else ""
        stops = "" if retry.stops is None else f", stopped {retry.stops:.4f} s later"
        dies = "" if retry.dies_after is None else f", its client dies with call {retry.dies_after}"
        yield f"  retry of {retry.run}, {retry.after:.4f} s after end {retry.end}{tasks}{stops}{dies}"
    for fault in plan.faults:
        yield f"  fault {fault.kind}: {fault.worker} at {fault.at:.4f} s for {fault.seconds:.2f} s, call {fault.call}"
    yield f"  {plan.noise}"
    yield from outcome.story
    yield f"broken: {outcome.broken}" if outcome.broken else "every guarantee held"


def _dag(dag: DagPlan) -> Iterator[str]:
    yield f"    dag {dag.name}{'' if dag.autostart else ', started by tasks'}: {' '.join(map('>'.join, dag.edges))}"
    for task in dag.tasks:
        yield f"      {task.id}: {_task(task)}"


def _task(task: TaskPlan) -> str:
    plain = TaskPlan(id=task.id)
    names = [name for name in TaskPlan.__slots__ if name != "steps" and getattr(task, name) != getattr(plain, name)]
    steps = [f"{step.do} {step.dag or step.seconds or ''}".strip() for step in task.steps]
    return ", ".join([*steps, *(f"{name}={getattr(task, name)}" for name in names)])
