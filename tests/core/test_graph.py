import pytest

from nflow.core.graph import graph_of
from nflow.core.ids import DagName, TaskId
from nflow.core.spec import DagSpec, Edge, TaskSpec
from nflow.errors import DirectedAcyclicGraphInvalid, WorkflowDefinitionError
from tests.core.build import dag


def test_a_join_knows_its_predecessors_in_the_order_of_the_edges():
    graph = graph_of(dag("a b c a>d c>d b>d"))

    assert graph.parents[3] == [0, 2, 1]
    assert [graph.children[position] for position in range(4)] == [[3], [3], [3], []]


def test_two_edges_between_the_same_tasks_are_one_link_with_both_slots():
    graph = graph_of(dag("a>b:x c>b a>b:y"))

    assert graph.parents[1] == [0, 2]
    assert graph.slots == {(0, 1): ("x", "y")}


@pytest.mark.parametrize("links", ["a>b b>c c>a", "c>b b>a a>c z>c"])
def test_a_cycle_is_refused_by_its_names(links):
    with pytest.raises(DirectedAcyclicGraphInvalid, match=r"Dag 'main' has a cycle: \w → \w → \w → \w\."):
        graph_of(dag(links))


def test_a_task_that_waits_for_itself_is_a_cycle():
    with pytest.raises(DirectedAcyclicGraphInvalid, match="a → a"):
        graph_of(dag("a>a"))


def test_tasks_may_be_declared_after_the_tasks_that_follow_them():
    graph = graph_of(dag("b a a>b"))

    assert graph.parents == [[1], []]


def test_an_edge_to_a_task_that_is_not_there_is_refused():
    task = TaskSpec(id=TaskId("a"), name="a", code="c")
    spec = DagSpec(name=DagName("main"), tasks=(task,), edges=(Edge(parent=TaskId("a"), child=TaskId("ghost")),))

    with pytest.raises(WorkflowDefinitionError, match="no task 'ghost'"):
        graph_of(spec)


def test_two_tasks_of_one_id_are_refused():
    task = TaskSpec(id=TaskId("a"), name="a", code="c")

    with pytest.raises(WorkflowDefinitionError, match="two tasks of one id"):
        graph_of(DagSpec(name=DagName("main"), tasks=(task, task)))
