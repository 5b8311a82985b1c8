"""A graph of tasks, as a workflow file defines it."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any, Self, TypeAlias, TypeVar

from nflow.errors import DirectedAcyclicGraphInvalid, DirectedAcyclicGraphUndefined, WorkflowDefinitionError
from nflow.models.mistakes import advice, shown
from nflow.models.place import Place, Placed, here, place_of
from nflow.models.policy import policy_of
from nflow.models.retry import Retry
from nflow.models.task import BaseTask, check_queue, check_task

Children: TypeAlias = BaseTask | Sequence[BaseTask | None] | Mapping[Any, str | None] | None
TaskT = TypeVar("TaskT", bound=BaseTask)  # a Mapping's keys are invariant: a dict of PythonTasks must be welcome

_LONG_CYCLE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The tasks of a dag and who hands data to whom, both in the order of their declaration."""

    tasks: Sequence[BaseTask]
    links: Mapping[tuple[int, int], str | None]  #: (parent, child), as positions in `tasks` -> slot


class Dag(Placed):
    """Tasks and the order they run in.

    Args:
        name: What `signal.start_dag` calls it; its runs are called `name:1`, `name:2` ...
        autostart: Start one run of it with the workflow; otherwise it waits to be started by a task.
        queue: The dag queue; a worker that serves this queue will drive it.
        schema: As in `define`, but not looked at before the workflow is planned.
        retry: How often each of its tasks is tried, unless the task says otherwise.
        on_failure: What becomes of the others when one of its tasks has failed for good, unless the task says
            otherwise: "stop_workflow" (by default), "stop_dag" or "skip_successors".
        timeout: Seconds that an attempt at one of its tasks may take, unless the task says otherwise.
    """

    def __init__(
        self,
        name: str,
        *,
        autostart: bool = True,
        queue: str = "dag",
        schema: Mapping[TaskT, Children] | None = None,
        retry: Retry | None = None,
        on_failure: str | None = None,
        timeout: float | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise WorkflowDefinitionError(f"A Dag needs a name, some text; this one got {name!r}.")
        check_queue(queue, f"dag {name!r}", usual="dag")
        self.name = name
        self.autostart = autostart
        self.queue = queue
        self._nflow_policy = policy_of(f"dag {name!r}", retry=retry, on_failure=on_failure, timeout=timeout)
        self._schema: Mapping[Any, Any] | None = schema
        self._graph: Graph | None = None
        self._shape: object = None  # of the schema, when the graph was made of it
        self._defined: Place | None = None

    @property
    def defined(self) -> Place:
        """Where its schema was given, or else where it was made."""
        return self._defined or place_of(self)

    @property
    def has_schema(self) -> bool:
        """Whether it has been said what it consists of, if only of nothing."""
        return self._schema is not None

    def define(self, schema: Mapping[TaskT, Children], *, validate: bool = True) -> None:
        """Say which task hands its data to which.

        Args:
            schema: Parent -> children, also what is put into it later, before the workflow is planned. Children are one
                task, a list of tasks, a dict of task -> slot (the alias by which the child may call this parent's
                data), or None for a task without children. Order counts: the datasets of a task that joins several
                others come in the order in which the schema names its parents.
            validate: Look at the schema now; otherwise when the workflow is planned.

        Raises:
            DirectedAcyclicGraphInvalid: the tasks form a cycle; the message names it.
            DirectedAcyclicGraphUndefined: the schema is None.
            WorkflowDefinitionError: something in the schema is not a task.
        """
        self._schema = schema
        self._graph = None
        self._defined = here()
        if validate:
            self.graph()

    def graph(self) -> Graph:
        """The schema, read and found to be free of cycles. Raises what `define` raises."""
        if self._schema is None:
            raise DirectedAcyclicGraphUndefined(
                f"Dag {self.name!r} has no schema. Call define() with a dict of task -> children."
            )
        shape = _shape(self._schema)
        if self._graph is None or shape != self._shape:
            graph = _read(self.name, self._schema)
            _refuse_cycle(self.name, graph)
            self._graph, self._shape = graph, shape
        return self._graph

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__, _nflow_place=here())
        return copied

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        copied = memo[id(self)] = copy(self)  # known at once: a task may refer to its dag
        copied.__dict__.update(deepcopy(self.__dict__ | {"_graph": None, "_shape": None}, memo), _nflow_place=here())
        return copied

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # A callback may name a dag, as in `signal.start_dag(sub_dag)`. Its code then carries the dag's name, not the
        # whole graph with all the code in it.
        return partial(Dag, autostart=self.autostart, queue=self.queue), (self.name,)

    def __repr__(self) -> str:
        return f"<Dag {self.name!r}>"


def _shape(schema: object) -> object:
    """What of a schema can change under its dag's hands: a copy of its dicts and lists, with their order."""
    if not isinstance(schema, Mapping):
        return None
    return [(parent, _copied(children)) for parent, children in schema.items()]


def _copied(children: object) -> object:
    match children:
        case list():
            return children[:]
        case Mapping():
            return list(children.items())
    return children


def _read(dag: str, schema: object) -> Graph:
    if not isinstance(schema, Mapping):
        raise WorkflowDefinitionError(
            f"The schema of dag {dag!r} is {shown(schema)}. It must be a dict of task -> children, e.g. {{task: None}}."
        )
    positions: dict[BaseTask, int] = {}
    links: dict[tuple[int, int], str | None] = {}

    kinds: set[type[BaseTask]] = set()

    def position(task: BaseTask) -> int:
        if task not in positions:
            check_task(task, kinds)
        return positions.setdefault(task, len(positions))

    for parent, children in schema.items():
        if not isinstance(parent, BaseTask):
            what = f"the schema has {shown(parent)} as a parent, which is not a task."
            raise WorkflowDefinitionError(f"Dag {dag!r}: {what} {advice(parent)}".rstrip())
        start = position(parent)
        for child, slot in _children(dag, parent, children):
            links.setdefault((start, position(child)), slot)
    return Graph(tasks=tuple(positions), links=links)


def _children(dag: str, parent: BaseTask, children: object) -> Iterable[tuple[BaseTask, str | None]]:
    pairs: Iterable[tuple[object, object]]
    match children:
        case BaseTask():
            return ((children, None),)
        case None:
            return ()
        case list() | tuple():
            pairs = ((child, None) for child in children)
        case Mapping():
            pairs = children.items()
        case _:
            forms = "Give a task, a list of tasks, or a dict of task -> slot."
            raise WorkflowDefinitionError(
                f"Dag {dag!r}: the children of {parent.name!r} are {shown(children)}. {advice(children) or forms}"
            )
    return [_checked(dag, parent, child, slot) for child, slot in pairs if child is not None]


def _checked(dag: str, parent: BaseTask, child: object, slot: object) -> tuple[BaseTask, str | None]:
    if not isinstance(child, BaseTask):
        raise WorkflowDefinitionError(
            f"Dag {dag!r}: {shown(child)}, a child of {parent.name!r}, is not a task. {advice(child)}".rstrip()
        )
    if slot is not None and not isinstance(slot, str):
        raise WorkflowDefinitionError(
            f"Dag {dag!r}: the slot between {parent.name!r} and {child.name!r} is {slot!r}. It must be text or None."
        )
    return child, slot or None


def _refuse_cycle(dag: str, graph: Graph) -> None:
    parents: list[list[int]] = [[] for _ in graph.tasks]
    for parent, child in graph.links:
        parents[child].append(parent)
    try:
        TopologicalSorter(dict(enumerate(parents))).prepare()
    except CycleError as error:
        names = [graph.tasks[index].name for index in error.args[1]]
        if len(names) > _LONG_CYCLE:
            names[_LONG_CYCLE // 2 : -_LONG_CYCLE // 2] = ["..."]
        raise DirectedAcyclicGraphInvalid(
            f"Dag {dag!r} has a cycle: {' -> '.join(names)}. Remove one of these steps."
        ) from None
