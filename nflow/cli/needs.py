"""Which queues a workflow needs, and whether anybody serves them."""

from nflow.engine.engine import Engine
from nflow.models.workflow import Workflow
from nflow.wire.python import python_tag
from nflow.worker.heartbeat import workers


def needed_queues(workflow: Workflow, queue: str) -> list[str]:
    """Every queue that some job of this workflow may wait in, in the order of the file."""
    found = [queue]
    for dag in workflow.dags.values():
        found += [dag.queue, *(task.queue for task in dag.graph().tasks)]
    return list(dict.fromkeys(found))


async def advice(engine: Engine, workflow: Workflow, queue: str) -> str | None:
    """What a person should do for a run of this workflow to go on; None if there are workers for all of it."""
    listed = await workers(engine)
    if not listed:
        return "No worker is there yet, and the run waits for one. Start it: nflow worker"
    served = {name for entry in listed for name in entry.queues}
    unserved = [name for name in needed_queues(workflow, queue) if name not in served]
    if unserved:
        names = ",".join(unserved)
        return f"No worker serves {names} yet, and the run waits for one. Start it: nflow worker -q {names}"
    tasks = {task.queue for dag in workflow.dags.values() for task in dag.graph().tasks}
    ours = {name for entry in listed if entry.python == python_tag() for name in entry.queues}
    if not tasks <= ours:
        return (
            f"No worker has this Python, {python_tag()}; the tasks wait for one, as only its like can open their code."
        )
    return None
