"""The rules of skipping as Lightflow's users know them, played through the whole engine."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nflow.models import AbortWorkflow, Action, Dag, StopTask
from nflow.tasks import PythonTask
from nflow.testing import play

NOBODY: list[str] = []


def ends(way):
    """A callback that ends so: a limit, or an exception."""

    def callback(data, store, signal, context):
        data["inputs"] = [dataset.get("name") for dataset in data]
        data["name"] = context.task_name
        if isinstance(way, Exception):
            raise way
        return Action(data, limit=way)

    return callback


RAN = [
    # how A ended, T with force_run=False, T with force_run=True
    (None, "succeeded", "succeeded"),
    (["t"], "succeeded", "succeeded"),
    (["other"], "skipped", "succeeded"),
    (NOBODY, "skipped", "succeeded"),
    (StopTask(), "skipped", "succeeded"),
    (StopTask(skip_successors=False), "succeeded", "succeeded"),
    (AbortWorkflow(), "cancelled", "cancelled"),
    (ValueError(), "cancelled", "cancelled"),
]


@pytest.mark.parametrize("propagate_skip", [True, False])
@pytest.mark.parametrize("force_run", [False, True])
@pytest.mark.parametrize(("way", "plain", "forced"), RAN, ids=repr)
def test_what_follows_a_task_that_ran(way, plain, forced, force_run, propagate_skip):
    dag = Dag("main")
    first = PythonTask("a", ends(way), propagate_skip=propagate_skip)
    dag.define({first: PythonTask("t", ends(None), force_run=force_run)})

    t = play(dag)["t"]

    assert t.state == (forced if force_run else plain)
    if t.state == "succeeded":
        assert t.data["inputs"] == ["a"]


@pytest.mark.parametrize(
    ("propagate_skip", "force_run", "expected"),
    [(True, False, "skipped"), (True, True, "succeeded"), (False, False, "succeeded"), (False, True, "succeeded")],
)
def test_what_follows_a_task_that_was_skipped(propagate_skip, force_run, expected):
    dag = Dag("main")
    first, a = PythonTask("first", ends(NOBODY)), PythonTask("a", ends(None), propagate_skip=propagate_skip)
    dag.define({first: a, a: PythonTask("t", ends(None), force_run=force_run)})

    t = play(dag)["t"]

    assert t.state == expected
    if expected == "succeeded":
        assert t.data["inputs"] == [None], "one empty dataset, to be written to"


@dataclass(frozen=True)
class Plan:
    """One task of a graph: its parents, and what it does."""

    parents: tuple[int, ...]
    way: str  # "all", "none", "stop", "go on" or the numbers that its limit names
    limit: frozenset[int]
    force_run: bool
    propagate_skip: bool


@st.composite
def graphs(draw):
    """Up to eight tasks, each with parents among those before it."""
    size = draw(st.integers(1, 8))
    numbers = st.integers(0, size - 1)
    return [
        Plan(
            parents=tuple(sorted(draw(st.sets(st.integers(0, child - 1), max_size=3)))) if child else (),
            way=draw(st.sampled_from(["all", "all", "none", "limit", "limit", "stop", "go on"])),
            limit=draw(st.frozensets(numbers)),
            force_run=draw(st.integers(0, 5)) == 0,
            propagate_skip=draw(st.integers(0, 3)) > 0,
        )
        for child in range(size)
    ]


def slowly(plans):
    """By the rules, one task after the other: the state of each, and the parents whose data it gets."""
    states: dict[int, str] = {}
    inputs: dict[int, list[int]] = {}
    for number, plan in enumerate(plans):
        lets = [
            not plans[parent].propagate_skip if states[parent] == "skipped" else allows(plans[parent], number)
            for parent in plan.parents
        ]
        runs = plan.force_run or not plan.parents or any(lets)
        states[number] = "succeeded" if runs else "skipped"
        inputs[number] = [parent for parent in plan.parents if states[parent] == "succeeded"]
    return states, inputs


def allows(plan, child):
    return {"all": True, "go on": True, "none": False, "stop": False, "limit": child in plan.limit}[plan.way]


def dag_of(plans):
    ways = {"all": None, "none": NOBODY, "stop": StopTask(), "go on": StopTask(skip_successors=False)}
    tasks = []
    for number, plan in enumerate(plans):
        way = [f"t{each}" for each in sorted(plan.limit)] if plan.way == "limit" else ways[plan.way]
        tasks.append(PythonTask(f"t{number}", ends(way), force_run=plan.force_run, propagate_skip=plan.propagate_skip))
    dag = Dag("main")
    dag.define(
        {
            task: [tasks[child] for child, plan in enumerate(plans) if number in plan.parents]
            for number, task in enumerate(tasks)
        }
    )
    return dag


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_the_engine_agrees_with_the_rules(plans):
    states, inputs = slowly(plans)

    played = play(dag_of(plans))

    assert played.status == "succeeded"
    assert {task.name: task.state for task in played.tasks} == {f"t{n}": state for n, state in states.items()}
    for number, state in states.items():
        if state == "succeeded":
            names = [f"t{parent}" for parent in inputs[number]]
            assert played[f"t{number}"].data["inputs"] == (names or [None])
