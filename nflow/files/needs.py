"""Which queues a workflow needs, and whether anybody serves them."""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence

from nflow.engine.engine import Engine
from nflow.engine.serving import Lack, Needs, served_by
from nflow.errors import UsageError
from nflow.models.workflow import Workflow
from nflow.wire.python import python_tag


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


def needs_of(workflow: Workflow, queue: str) -> Needs:
    """What a run of this workflow from here needs to have served."""
    tasks = {task.queue for dag in workflow.startable.values() for task in dag.graph().tasks}
    return Needs(queues=tuple(needed_queues(workflow, queue)), tasks=frozenset(tasks), python=python_tag())


async def advice(engine: Engine, needs: Needs) -> str | None:
    """What a person should do for a run to go on that needs this; None if there are workers for all of it."""
    from nflow.worker.heartbeat import workers  # noqa: PLC0415 - of the bus, which comes after bad input is told

    listed = await workers(engine)
    lacks = served_by(listed).lacks(needs)
    return lack_of_all(list(lacks.values()), anybody=bool(listed)) if lacks else None


def lack_of_all(lacks: Sequence[Lack], *, anybody: bool) -> str:
    """What a person should do about all that a run will lack."""
    if not anybody:
        return "No worker is there yet, and the run waits for one. Start it: nflow worker"
    if unserved := [lack.queue for lack in lacks if not lack.python]:
        return f"No worker serves {_shown(unserved)} yet, and the run waits for one. Start it: {_serving(unserved)}"
    needed = lacks[0].python
    return f"No worker has this Python, {needed}; the tasks wait for one, as only its like can open their code."


def lack_of_some(lacks: Sequence[Lack]) -> Iterator[str]:
    """What a person should do about jobs that wait now, a line for each thing to do."""
    if unserved := [lack.queue for lack in lacks if not lack.python]:
        them = "it" if len(unserved) == 1 else "them"
        yield (
            f"{_quoted(unserved)}: no worker serves {them}, and the run waits for one. Start it: {_serving(unserved)}"
        )
    for lack in lacks:
        if lack.python:
            needed, there = _version(lack.python), ", ".join(map(_version, lack.there))
            yield (
                f"{_quoted([lack.queue])}: a job needs Python {needed}, the workers have {there}. "
                f"Start one with Python {needed}: {_serving([lack.queue])}"
            )


def served_now(queues: Sequence[str]) -> str:
    """That workers have come for what had none."""
    return f"{_quoted(queues)} {'is' if len(queues) == 1 else 'are'} served now."


def waits_for(lack: Lack) -> str:
    """Why a run does not move, in few words."""
    python = f" with Python {_version(lack.python)}" if lack.python else ""
    return f"waits for a worker on queue '{_shown([lack.queue])}'{python}"


def _quoted(queues: Sequence[str]) -> str:
    names = ", ".join(f"'{_shown([name])}'" for name in queues)
    return f"Queue {names}" if len(queues) == 1 else f"Queues {names}"


def _version(tag: str) -> str:
    """`py311` as people write it."""
    digits = tag.removeprefix("py")
    return f"{digits[:1]}.{digits[1:]}" if digits.isdecimal() else tag


def _shown(names: Iterable[str]) -> str:
    """In one line, whatever is in them."""
    return ",".join(name if name.isprintable() else repr(name)[1:-1] for name in names)


def _serving(names: list[str]) -> str:
    """The command for a shell; the file of settings where commas and spaces at the ends are part of a name."""
    if any("," in name or name != name.strip() or not name.isprintable() for name in names):
        return f"nflow worker, with worker.queues = {json.dumps(names, ensure_ascii=False)} in nflow.toml"
    return f"nflow worker -q {shlex.quote(','.join(names))}"
