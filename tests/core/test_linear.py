"""A dag of a hundred thousand tasks costs ten times what one of ten thousand costs: counted, not timed."""

import sys
from types import FrameType
from typing import Any

import pytest

from nflow.core.commands import Cancel, Command, Dispatch, Record
from nflow.core.dag_run import DagRun, apply, begin
from nflow.core.graph import graph_of
from nflow.core.ids import DagId, DagName, TaskId
from nflow.core.spec import DagSpec, Edge, TaskSpec
from nflow.errors import DirectedAcyclicGraphInvalid
from tests.core.build import failed, succeeded


def chain(size: int) -> DagSpec:
    return spec_of(size, [(number, number + 1) for number in range(size - 1)])


def fan(size: int) -> DagSpec:
    middle = range(1, size - 1)
    return spec_of(size, [*((0, number) for number in middle), *((number, size - 1) for number in middle)])


def backwards(size: int) -> DagSpec:
    return spec_of(size, [(number + 1, number) for number in range(size - 1)])


def spec_of(size: int, edges: list[tuple[int, int]]) -> DagSpec:
    ids = [TaskId(f"t{number}") for number in range(size)]
    return DagSpec(
        name=DagName("main"),
        tasks=tuple(TaskSpec(id=task, name=task, code="c") for task in ids),
        edges=tuple(Edge(parent=ids[parent], child=ids[child]) for parent, child in edges),
    )


def lived(spec: DagSpec) -> list[Command]:
    """All commands of a run in which every task succeeds at once, and lets all of its successors run by name."""
    run = DagRun(DagId("main:1"), spec)
    names = [[spec.tasks[child].name for child in children] for children in run.graph.children]
    commands = begin(run)
    for command in commands:  # grows as it goes
        if isinstance(command, Dispatch):
            limit = tuple(names[run.graph.index[command.task]])
            commands += apply(run, succeeded(command.task, limit=limit))
    return commands


def lines_of(spec: DagSpec) -> int:
    """How many lines of Python a whole run takes."""
    count = 0

    def trace(_frame: FrameType, kind: str, _arg: object) -> Any:
        nonlocal count
        count += kind == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        lived(spec)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", [chain, fan, backwards])
def test_ten_times_the_tasks_take_ten_times_the_lines(shape):
    few, many = lines_of(shape(200)), lines_of(shape(2000))

    assert many < 10.5 * few


@pytest.mark.parametrize("shape", [chain, fan])
def test_a_hundred_thousand_tasks_are_run_through_to_the_end(shape):
    commands = lived(shape(100_000))

    assert len(commands) == 100_001


def test_a_skip_cascades_through_a_hundred_thousand_tasks_in_one_batch():
    run = DagRun(DagId("main:1"), chain(100_000))

    record, _finish = apply(run, succeeded("t0", limit=()))

    assert isinstance(record, Record)
    assert len(record.events) == 99_999
    assert run.is_settled


def test_a_stop_cancels_a_hundred_thousand_tasks_in_one_batch():
    run = DagRun(DagId("main:1"), fan(100_000))
    apply(run, succeeded("t0"))

    commands = apply(run, failed("t1"))

    assert isinstance(commands[0], Record)
    assert sum(isinstance(command, Cancel) for command in commands) == 99_997


def test_a_long_cycle_is_found_without_recursion():
    edges = [*((number + 1, number) for number in range(9_999)), (0, 9_999)]

    with pytest.raises(DirectedAcyclicGraphInvalid, match="has a cycle: t"):
        graph_of(spec_of(10_000, edges))
