"""All that can be found out about a workflow file without a server: it is loaded, planned, and shipped to nowhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from nflow import __version__
from nflow.cli.files.neighbours import neighbours
from nflow.cli.files.reading import Interrupted, reading
from nflow.errors import NotShippable, UsageError, WorkflowArgumentError
from nflow.models.place import place_of
from nflow.models.plan import plan_workflow
from nflow.models.review import doubts, has_graph, problems
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow, read
from nflow.wire.code import digest, pack_code
from nflow.wire.messages import pack_spec
from nflow.wire.python import python_tag
from nflow.wire.values import encode
from nflow.wire.weight import heaviest

#: Code that is larger carries data that it should read where it runs.
HEAVY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about a file."""

    file: str
    dags: int = 0
    tasks: int = 0
    parameters: Sequence[str] = ()
    problems: Sequence[str] = ()  #: why it cannot run
    warnings: Sequence[str] = ()  #: what runs, but perhaps not as meant


def checked(path: Path) -> Verdict:
    """Read a file and say all that is wrong with it."""
    try:
        with reading(path):
            workflow = read(path)
        with redirect_stdout(sys.stderr):  # what classes of the user's print when they are packed
            return _verdict(workflow)
    except Interrupted:
        raise
    except UsageError as error:
        return Verdict(file=path.name, problems=(str(error),))


def _verdict(workflow: Workflow) -> Verdict:
    sound = replace(workflow, dags={name: dag for name, dag in workflow.dags.items() if has_graph(dag)})
    shipping = Shipping(sound)
    return Verdict(
        file=workflow.path.name,
        dags=len(workflow.dags),
        tasks=sum(len(dag.graph().tasks) for dag in sound.dags.values()),
        parameters=list(dict.fromkeys(option.name for option in workflow.parameters)),
        problems=[*problems(workflow), *shipping.problems, *_unfit_values(workflow)],
        warnings=[*doubts(workflow), *shipping.warnings()],
    )


class Shipping:
    """A workflow on its way to nowhere."""

    def __init__(self, workflow: Workflow) -> None:
        self.problems: list[str] = []
        self._workflow = workflow
        self._codes: dict[str, bytes] = {}
        self._heavy: dict[str, BaseTask] = {}
        try:
            pack_spec(plan_workflow(workflow, self._ship, python=python_tag(), engine=__version__))
        except UsageError as error:  # a class of the user's that does not give its state
            self.problems.append(str(error))

    def warnings(self) -> list[str]:
        """What a person should know of what is sent."""
        return [*self._weights(), *self._neighbours()]

    def _ship(self, task: BaseTask) -> str:
        try:
            code = pack_code(task.shipped(), what=f"Task '{task.name}'")
        except NotShippable as error:  # the others are looked at all the same
            self.problems.append(place_of(task).before(str(error)))
            return ""
        name = digest(code)
        self._codes[name] = code
        if len(code) > HEAVY_BYTES:
            self._heavy[name] = task
        return name

    def _weights(self) -> Iterator[str]:
        for name, task in self._heavy.items():
            way, size = heaviest(task.shipped())
            reason = f": {way} alone has {size / 1e6:.1f} MB" if way else ""
            yield place_of(task).before(
                f"The code of task {task.name!r} has {len(self._codes[name]) / 1e6:.1f} MB{reason}. "
                "Every execution unpacks it: read such data from a file, or hand them over in `data`."
            )

    def _neighbours(self) -> Iterator[str]:
        path = self._workflow.path
        for name in neighbours(path, self._codes.values()):
            yield (
                f"The tasks need the module {name!r} beside {path.name}. Workers find it only where {path.parent} "
                "is there under the same path; elsewhere it must be installed."
            )


def _unfit_values(workflow: Workflow) -> Iterator[str]:
    for option in workflow.parameters:
        try:
            encode(option.convert(option.default), f"Parameter '{option.name}'")
        except NotShippable as error:
            yield str(error)
        except WorkflowArgumentError:
            continue  # told already
