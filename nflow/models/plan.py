"""From a workflow as it is written to the spec that workers plan with."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nflow.core.ids import DagName, TaskId
from nflow.core.spec import DagSpec, Edge, OnFailure, TaskSpec, WorkflowSpec
from nflow.errors import NotShippable, UsageError
from nflow.models.dag import Dag
from nflow.models.place import place_of
from nflow.models.policy import NOTHING_SAID, Policy, limit_of, said_by
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow, require_graph

Ship = Callable[[BaseTask], str]
"""Stores the code of a task, its `shipped()`, and returns the digest to find it by."""


def plan(dag: Dag, ship: Ship, general: Policy = NOTHING_SAID) -> DagSpec:
    """The spec of one dag. `ship` is called once for each distinct piece of code.

    `general` is what holds where neither a task nor its dag says otherwise.

    Raises:
        DirectedAcyclicGraphInvalid, DirectedAcyclicGraphUndefined, WorkflowDefinitionError: as `Dag.define`.
        NotShippable: a task cannot be sent to another process; the message says where it was made.
    """
    graph = dag.graph()
    code_of = ship if isinstance(ship, _Shipped) else _Shipped(ship)  # of a whole workflow, it is shared
    ids = list(ids_of(graph.tasks))
    policies = _Policies(said_by(dag).over(general))
    return DagSpec(
        name=DagName(dag.name),
        tasks=tuple(
            TaskSpec(
                id=id_,
                name=task.name,
                code=code_of(task),
                queue=task.queue,
                force_run=task.has_to_run,
                propagate_skip=task.propagate_skip,
                **policies.of(task),
            )
            for id_, task in zip(ids, graph.tasks, strict=True)
        ),
        edges=tuple(
            Edge(parent=ids[parent], child=ids[child], slot=slot) for (parent, child), slot in graph.links.items()
        ),
        autostart=dag.autostart,
        queue=dag.queue,
    )


def plan_workflow(
    workflow: Workflow, ship: Ship, *, python: str, engine: str, usual: Policy = NOTHING_SAID
) -> WorkflowSpec:
    """The spec of a whole file. Code that several dags share is shipped once.

    `usual` is what holds where the file says nothing.

    A dag without a schema that is not to start by itself is left out: whoever starts it is told that there is none.

    Raises:
        DirectedAcyclicGraphUndefined: a dag that starts with the run has no schema.
        And whatever `plan` raises.
    """
    code_of = _Shipped(ship)
    for dag in workflow.dags.values():
        if dag.autostart or dag.has_schema:
            require_graph(dag)
    general = workflow.policy.over(usual)
    dags = {DagName(name): plan(dag, code_of, general) for name, dag in workflow.startable.items()}
    deadline = limit_of(general.deadline)
    return WorkflowSpec(name=workflow.name, dags=dags, python=python, engine=engine, deadline=deadline)


class _Policies:
    """What drivers are told of the policies of a dag's tasks; the same object for all that say the same."""

    def __init__(self, general: Policy) -> None:
        self._general = general
        self._known: dict[int, tuple[dict[str, Any], Policy]] = {}  # with the policy: an id counts only while it lives

    def of(self, task: BaseTask) -> dict[str, Any]:
        """Of this task."""
        own = said_by(task)
        if id(own) not in self._known:
            self._known[id(own)] = _told(own.over(self._general)), own
        return self._known[id(own)][0]


def _told(policy: Policy) -> dict[str, Any]:
    return {
        "retry": None if policy.retry is None else policy.retry.spec(),
        "on_failure": OnFailure(policy.on_failure or OnFailure.STOP_WORKFLOW),
        "timeout": limit_of(policy.timeout),
    }


class _Shipped:
    """Ships each distinct piece of code once: a class together with the very same values in its state."""

    def __init__(self, ship: Ship) -> None:
        self._ship = ship
        # The state is kept beside the digest: an id counts only while its object lives.
        self._known: dict[tuple[object, ...], tuple[str, dict[str, object]]] = {}

    def __call__(self, task: BaseTask) -> str:
        try:
            kind, state = task.shipped()
            key = (kind, *state, *map(id, state.values()))
            if key not in self._known:
                self._known[key] = (self._ship(task), state)
        except UsageError as error:
            raise type(error)(place_of(task).before(str(error))) from error
        except Exception as error:  # what a class of the user's does when it is asked for its state
            refusal = f"Task {task.name!r} cannot be sent to another process: {type(error).__name__}: {error}."
            raise NotShippable(place_of(task).before(refusal)) from error
        return self._known[key][0]


def ids_of(tasks: Sequence[BaseTask]) -> Iterator[TaskId]:
    """Each task's name, or `name#2` for the second of one name, skipping what some task is really called."""
    used: set[str] = set()
    last: dict[str, int] = {}
    for task in tasks:
        number = last.get(task.name, 0) + 1
        while (candidate := task.name if number == 1 else f"{task.name}#{number}") in used:
            number += 1
        last[task.name] = number
        used.add(candidate)
        yield TaskId(candidate)
