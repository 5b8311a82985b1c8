"""What is sent of a workflow: its spec, the code of its tasks, and the parameters of one run, as bytes.

Made without a server, so that what cannot be sent is told before anything is started.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nflow._version import __version__
from nflow.models.plan import plan_workflow
from nflow.models.policy import NOTHING_SAID, Policy
from nflow.models.task import BaseTask
from nflow.models.workflow import Workflow
from nflow.wire.code import digest, pack_code
from nflow.wire.messages import pack_spec
from nflow.wire.python import python_tag
from nflow.wire.values import Encoded, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A workflow, packed for one run."""

    workflow: str
    folder: str  #: where its file lies
    spec: bytes
    code: Mapping[str, bytes]  #: each distinct piece by its digest
    parameters: Mapping[str, Encoded]
    has_file: bool = True  #: the workflow is a file there; else a program made it, which is not to be run again


def pack(workflow: Workflow, arguments: Mapping[str, object], usual: Policy = NOTHING_SAID) -> Shipment:
    """Pack a workflow, as `nflow.models.workflow.load` read it, and the values of its parameters.

    `usual` is what is done about tasks that fail or take too long, where the workflow says nothing.

    Raises:
        WorkflowArgumentError: a parameter is missing, unknown or of the wrong type.
        WorkflowDefinitionError: the workflow cannot run.
        NotShippable: a task or a parameter cannot be sent to another process.
    """
    values = workflow.parameters.resolve(arguments)
    code: dict[str, bytes] = {}

    def ship(task: BaseTask) -> str:
        packed = pack_code(task.shipped(), what=f"Task '{task.name}'")
        name = digest(packed)
        code[name] = packed
        return name

    return Shipment(
        workflow=workflow.name,
        folder=str(workflow.path.parent),
        spec=pack_spec(plan_workflow(workflow, ship, python=python_tag(), engine=__version__, usual=usual)),
        code=code,
        parameters={name: encode(value, f"Parameter '{name}'") for name, value in values.items()},
    )
