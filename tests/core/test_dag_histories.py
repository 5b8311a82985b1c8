"""Random dags in a world where drivers and workers die and news comes late; a slow model says what is true."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.core.commands import FinishDag
from nflow.core.dag_run import DagRun, apply, outstanding
from nflow.core.events import Status, StopRequested
from nflow.core.ids import DagId
from nflow.core.spec import OnFailure
from tests.core.dag_world import DagWorld, random_dag
from tests.core.model import picture, unstopped, words_of

seeds = st.integers(min_value=0, max_value=2**32)  # cheaper than `st.randoms`: ten times the histories in a second
steps = st.integers(min_value=0, max_value=120)


def lived(seed: int, steps: int, *, calm: bool) -> DagWorld:
    random = Random(seed)
    world = DagWorld(random, random_dag(random), calm=calm)
    for _ in range(random.choice([1, 1, 2, 3])):
        if world.finished is not None:
            world.reopen()
        for _ in range(steps):
            world.step()
        world.run_to_the_end()
    return world


@given(seed=seeds, steps=steps)
@settings(max_examples=300, deadline=None)
def test_without_failures_and_stops_every_history_ends_as_the_rules_say(seed, steps):
    world = lived(seed, steps, calm=True)

    states = list(unstopped(world.spec, world.now).values())

    assert set(states) <= {"succeeded", "skipped"}
    assert world.finished == FinishDag(
        status=Status.SUCCEEDED,
        succeeded=states.count("succeeded"),
        skipped=states.count("skipped"),
        failed=0,
        cancelled=0,
    )
    assert world.told == []


@given(seed=seeds, steps=steps)
@settings(max_examples=600, deadline=None)
def test_every_history_ends_with_every_task_settled_and_told_of(seed, steps):
    world = lived(seed, steps, calm=False)

    assert world.run.is_settled
    assert world.finished is not None
    failed = [task for task in world.spec.tasks if words_of(world.now, task)[0] == "failed"]
    assert (world.finished.status is Status.FAILED) == bool(failed)
    told = any(told.status is Status.FAILED for told in world.told)
    assert told == any(task.on_failure is OnFailure.STOP_WORKFLOW for task in failed)
    if world.finished.status is Status.STOPPED:
        assert world.told or any(isinstance(event, StopRequested) for event in world.now)


@given(seed=seeds, steps=steps)
@settings(max_examples=200, deadline=None)
def test_a_driver_that_reads_all_of_a_log_has_nothing_left_to_do_but_to_finish(seed, steps):
    world = lived(seed, steps, calm=False)
    run = DagRun(DagId("main:1"), world.spec)

    for event in world.log:
        apply(run, event)

    assert {task.id: run.state_of(task.id).value for task in world.spec.tasks} == picture(world.spec, world.now)
    assert run.is_settled
    assert isinstance(outstanding(run)[-1], FinishDag)


@given(seed=seeds, steps=steps)
@settings(max_examples=300, deadline=None)
def test_a_log_may_be_read_in_any_order_that_keeps_each_tasks_own(seed, steps):
    world = lived(seed, steps, calm=False)
    world.run, world.seen = DagRun(DagId("main:1"), world.spec), []

    for event in world.mixed_up():
        world.take_in(event)

    said = {task.id: words_of(world.now, task)[0] for task in world.spec.tasks}
    assert {task.id: world.run.state_of(task.id).value for task in world.spec.tasks} == said
