"""Which queues a workflow needs, and whether anybody serves them."""

import json
import shlex
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from nflow.errors import UsageError
from nflow.models.workflow import Workflow
from nflow.wire.python import python_tag

if TYPE_CHECKING:
    from nflow.engine.engine import Engine


def needed_queues(workflow: Workflow, queue: str) -> list[str]:
    """Every queue that some job of this workflow may wait in, in the order of the file."""
    return list(dict.fromkeys((queue, *workflow.queues)))


def require_names(workflow: Workflow, queue: str) -> None:
    """Refuse a queue without a name, which an empty variable of a shell makes: the run would wait in it for ever.

    Raises:
        UsageError: There is one.
    """
    if not all(name.strip() for name in needed_queues(workflow, queue)):
        raise UsageError(f"A queue of {workflow.name} has no name. Give it one, or leave it out for the default.")


async def advice(engine: "Engine", workflow: Workflow, queue: str) -> str | None:
    """What a person should do for a run of this workflow to go on; None if there are workers for all of it."""
    tasks = {task.queue for dag in workflow.startable.values() for task in dag.graph().tasks}
    return await advice_on(engine, needed_queues(workflow, queue), tasks, python_tag())


async def advice_on(engine: "Engine", queues: Iterable[str], tasks: Set[str], python: str) -> str | None:
    """The same, of a run that needs these queues, those of `tasks` served with a certain Python."""
    from nflow.worker.heartbeat import workers  # noqa: PLC0415 - of the bus, which comes after bad input is told

    listed = await workers(engine)
    if not listed:
        return "No worker is there yet, and the run waits for one. Start it: nflow worker"
    served = {name for entry in listed for name in entry.queues}
    unserved = [name for name in queues if name not in served]
    if unserved:
        return f"No worker serves {_shown(unserved)} yet, and the run waits for one. Start it: {_serving(unserved)}"
    theirs = {name for entry in listed if entry.python == python for name in entry.queues}
    if not tasks <= theirs:
        this = "this Python" if python == python_tag() else "the Python of the run"
        return f"No worker has {this}, {python}; the tasks wait for one, as only its like can open their code."
    return None


def _shown(names: Iterable[str]) -> str:
    """In one line, whatever is in them."""
    return ",".join(name if name.isprintable() else repr(name)[1:-1] for name in names)


def _serving(names: list[str]) -> str:
    """The command for a shell; the file of settings where commas and spaces at the ends are part of a name."""
    if any("," in name or name != name.strip() or not name.isprintable() for name in names):
        return f"nflow worker, with worker.queues = {json.dumps(names, ensure_ascii=False)} in nflow.toml"
    return f"nflow worker -q {shlex.quote(','.join(names))}"
