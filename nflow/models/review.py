"""What looks wrong in a workflow although it can run: said by `nflow check`, never by a run."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

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
    """What runs, but perhaps not as meant. Dags that have problems are not looked into."""
    sound = replace(workflow, dags={name: dag for name, dag in workflow.dags.items() if has_graph(dag)})
    return [
        *_undefined(workflow),
        *(line for dag in sound.dags.values() for line in _namesakes(dag)),
        *_never_started(workflow, sound),
        *unknown_limits(sound.dags.values()),
        *_idle_classes(sound),
        *_declared_twice(workflow),
    ]


def has_graph(dag: Dag) -> bool:
    """Whether a dag has a schema that is free of cycles and other mistakes."""
    try:
        dag.graph()
    except WorkflowDefinitionError:
        return False
    return True


def _no_graphs(workflow: Workflow) -> Iterator[str]:
    for dag in workflow.startable.values():
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


def _undefined(workflow: Workflow) -> Iterator[str]:
    for dag in workflow.dags.values():
        if not dag.has_schema:
            then = "No run of this file can start" if dag.autostart else "No task can start it"
            yield place_of(dag).before(
                f"Dag {dag.name!r} has no schema. {then} before define() is called with a dict of task -> children."
            )


def _idle_classes(workflow: Workflow) -> Iterator[str]:
    """Each class of the user's whose tasks do nothing, with the first of them."""
    seen: set[type[BaseTask]] = {BaseTask}
    for task in (task for dag in workflow.dags.values() for task in dag.graph().tasks):
        kind = type(task)
        if kind not in seen and kind.run is BaseTask.run and "run" not in vars(task):
            yield place_of(task).before(
                f"Class {kind.__name__!r} of task {task.name!r} has no run() of its own, so the task does nothing. "
                "Write one: def run(self, data, store, signal, context, **kwargs)."
            )
        seen.add(kind)


def _never_started(workflow: Workflow, sound: Workflow) -> Iterator[str]:
    waiting = [dag for dag in workflow.dags.values() if not dag.autostart]
    if waiting and len(waiting) == len(workflow.dags):
        yield "No dag starts with the run, which ends at once. Leave autostart=False away for the first one."
        return
    mentioned = mentions(sound) if waiting else None
    for dag in waiting:
        if mentioned is not None and dag.has_schema and not mentioned.knows(dag):
            yield place_of(dag).before(
                f"Dag {dag.name!r} does not start with the run (autostart=False), and no code here starts it. "
                f"Start it in a task: signal.start_dag({dag.name!r})."
            )
