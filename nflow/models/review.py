"""What looks wrong in a workflow although it can run: said by `nflow check`, never by a run."""

from collections import defaultdict
from collections.abc import Iterator

from nflow.errors import WorkflowArgumentError, WorkflowDefinitionError
from nflow.models.dag import Dag
from nflow.models.limits import unknown_limits
from nflow.models.mentions import mentions
from nflow.models.place import place_of
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow, require_graph

_FEW = 5


def problems(workflow: Workflow) -> list[str]:
    """Why it cannot run: each dag that is none, each default that its type refuses."""
    return [*_no_graphs(workflow), *_bad_defaults(workflow)]


def doubts(workflow: Workflow) -> list[str]:
    """What runs, but perhaps not as meant. The graphs of its dags must be free of problems."""
    return [
        *(line for dag in workflow.dags.values() for line in _namesakes(dag)),
        *_never_started(workflow),
        *unknown_limits(workflow.dags.values()),
        *_declared_twice(workflow),
    ]


def has_graph(dag: Dag) -> bool:
    """Whether a dag is free of cycles and other mistakes."""
    try:
        dag.graph()
    except WorkflowDefinitionError:
        return False
    return True


def _no_graphs(workflow: Workflow) -> Iterator[str]:
    for dag in workflow.dags.values():
        try:
            require_graph(dag)
        except WorkflowDefinitionError as error:
            yield str(error)


def _bad_defaults(workflow: Workflow) -> Iterator[str]:
    for option in workflow.parameters:
        if option.default is None:
            continue
        try:
            option.convert(option.default)
        except WorkflowArgumentError as error:
            yield f"The default of parameter {option.name!r}: {error}"


def _declared_twice(workflow: Workflow) -> Iterator[str]:
    names = [option.name for option in workflow.parameters]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"Parameter {name!r} is declared {names.count(name)} times; only the last one counts."


def _namesakes(dag: Dag) -> Iterator[str]:
    named: dict[str, list[BaseTask]] = defaultdict(list)
    for task in dag.graph().tasks:
        named[task.name].append(task)
    for name, tasks in named.items():
        if len(tasks) > 1:
            lines = list(dict.fromkeys(str(place_of(task).line) for task in tasks))
            more = ", ..." if len(lines) > _FEW else ""
            yield place_of(tasks[1]).before(
                f"Dag {dag.name!r} has {len(tasks)} tasks named {name!r} (line {', '.join(lines[:_FEW])}{more}). "
                f"A limit that says {name!r} means all of them, and so does an alias. Give each a name of its own."
            )


def _never_started(workflow: Workflow) -> Iterator[str]:
    waiting = [dag for dag in workflow.dags.values() if not dag.autostart]
    if waiting and len(waiting) == len(workflow.dags):
        yield "No dag starts with the run, which ends at once. Leave autostart=False away for the first one."
        return
    mentioned = mentions(workflow) if waiting else None
    for dag in waiting:
        if mentioned is not None and not mentioned.knows(dag):
            yield place_of(dag).before(
                f"Dag {dag.name!r} does not start with the run (autostart=False), and no code here starts it. "
                f"Start it in a task: signal.start_dag({dag.name!r})."
            )
