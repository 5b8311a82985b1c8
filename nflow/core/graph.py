"""A dag's tasks as numbers: who follows whom, in time and memory linear in tasks and edges.

Positions count the tasks in the order of their declaration. It never knows what a task does, nor how far a run is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from nflow.core.ids import TaskId
from nflow.core.spec import DagSpec, Edge
from nflow.errors import DirectedAcyclicGraphInvalid, WorkflowDefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Predecessors and successors by position, each in the order their edges were declared."""

    index: Mapping[TaskId, int]
    children: list[list[int]]
    parents: list[list[int]]
    slots: Mapping[tuple[int, int], tuple[str, ...]]  #: (parent, child) → their edges' aliases, where there are any

    def descendants(self, positions: Iterable[int]) -> list[int]:
        """These positions, and all that follow them."""
        found = list(positions)
        known = set(found)
        for position in found:  # grows as it goes
            new = [child for child in self.children[position] if child not in known]
            found += new
            known.update(new)
        return found

    def order(self) -> Iterable[int]:
        """All positions, predecessors first."""
        if _is_in_order(self.parents):
            return range(len(self.parents))
        return TopologicalSorter(dict(enumerate(self.parents))).static_order()


def graph_of(spec: DagSpec) -> Graph:
    """Number the tasks of a dag and link them.

    Two edges between the same tasks are one link with both their slots, at the place of the first.

    Raises:
        WorkflowDefinitionError: two tasks have one id, or an edge leads to a task that is not there.
        DirectedAcyclicGraphInvalid: a task waits for itself; the message names the cycle.
    """
    index = {task.id: position for position, task in enumerate(spec.tasks)}
    if len(index) < len(spec.tasks):
        raise WorkflowDefinitionError(f"Dag {spec.name!r} has two tasks of one id. Give every task an id of its own.")
    children: list[list[int]] = [[] for _ in spec.tasks]
    parents: list[list[int]] = [[] for _ in spec.tasks]
    slots: dict[tuple[int, int], tuple[str, ...]] = {}
    linked: set[int] = set()
    for edge in spec.edges:
        parent, child = _ends(spec, index, edge)
        if edge.slot:
            slots[parent, child] = (*slots.get((parent, child), ()), edge.slot)
        link = parent * len(index) + child  # a number, for a hundred thousand tuples keep the garbage collector busy
        if link not in linked:
            linked.add(link)
            children[parent].append(child)
            parents[child].append(parent)
    _refuse_cycles(spec, parents)
    return Graph(index=index, children=children, parents=parents, slots=slots)


def _ends(spec: DagSpec, index: Mapping[TaskId, int], edge: Edge) -> tuple[int, int]:
    try:
        return index[edge.parent], index[edge.child]
    except KeyError as missing:
        raise WorkflowDefinitionError(
            f"Dag {spec.name!r} has an edge from {edge.parent!r} to {edge.child!r}, but no task {missing.args[0]!r}. "
            "Add the task or remove the edge."
        ) from None


def _refuse_cycles(spec: DagSpec, parents: list[list[int]]) -> None:
    if _is_in_order(parents):
        return
    try:
        TopologicalSorter(dict(enumerate(parents))).prepare()
    except CycleError as error:
        path = " → ".join(str(spec.tasks[position].id) for position in error.args[1])
        raise DirectedAcyclicGraphInvalid(
            f"Dag {spec.name!r} has a cycle: {path}. Take one of these edges out."
        ) from None


def _is_in_order(parents: list[list[int]]) -> bool:
    """Whether tasks are declared in an order that they can run in: the usual case, and cheaper to see than to sort."""
    return all(parent < child for child, before in enumerate(parents) for parent in before)
