"""Random workflows in a world where drivers die and news comes late; a slow model says what is true."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.core.events import DagFinished, DagRequested, DagStarted, RunFinished, Status
from nflow.core.ids import RunId
from nflow.core.workflow_run import WorkflowRun, outstanding
from nflow.core.workflow_state import name_of
from tests.core.model import first, run_status
from tests.core.workflow_world import WorkflowWorld, random_workflow

seeds = st.integers(min_value=0, max_value=2**32)
steps = st.integers(min_value=0, max_value=120)


def lived(seed: int, steps: int, *, one_driver: bool = False) -> WorkflowWorld:
    random = Random(seed)
    world = WorkflowWorld(random, random_workflow(random), one_driver=one_driver)
    for _ in range(random.choice([1, 1, 2, 3])):
        if world.is_over:
            world.reopen()
        for _ in range(steps):
            world.step()
        world.run_to_the_end()
    return world


@given(seed=seeds, steps=steps)
@settings(max_examples=400, deadline=None)
def test_every_run_ends_with_every_request_answered_once_and_every_dag_run_ended(seed, steps):
    world = lived(seed, steps)

    finished = first(world.now, RunFinished)
    assert finished is not None
    assert finished.status is run_status(world.now, world.run.stop)
    for request in (event for event in world.now if isinstance(event, DagRequested)):
        assert len(set(world.answers_to(request.key))) == 1
    started = {event.dag for event in world.now if isinstance(event, DagStarted)}
    ends = {event.dag: event.status for event in world.now if isinstance(event, DagFinished)}
    assert started == ends.keys()
    assert all(ends[world.run.granted[key]] is not Status.SUCCEEDED for key in world.run.requests)


@given(seed=seeds, steps=steps)
@settings(max_examples=200, deadline=None)
def test_no_running_name_is_given_twice(seed, steps):
    world = lived(seed, steps)

    names = {event.key: event.dag for event in world.log if isinstance(event, DagStarted)}

    assert len(set(names.values())) == len(names)


@given(seed=seeds, steps=steps)
@settings(max_examples=200, deadline=None)
def test_running_names_count_from_one_for_each_dag(seed, steps):
    """Under one driver: one that died may leave a gap, where it had read the requests in another order."""
    world = lived(seed, steps, one_driver=True)

    names = [event.dag for event in world.log if isinstance(event, DagStarted)]

    for blueprint in world.spec.dags:
        own = [name for name in names if name_of(name) == blueprint]
        assert own == [f"{blueprint}:{number}" for number in range(1, len(own) + 1)]


@given(seed=seeds, steps=steps)
@settings(max_examples=200, deadline=None)
def test_a_log_may_be_read_in_any_order_that_keeps_its_owners(seed, steps):
    world = lived(seed, steps)
    world.run, world.seen = WorkflowRun(RunId("r1"), world.spec), []

    for event in world.mixed_up():
        world.fold(event)

    finished = first(world.now, RunFinished)
    assert world.run.status is (finished and finished.status)
    assert outstanding(world.run) == []
