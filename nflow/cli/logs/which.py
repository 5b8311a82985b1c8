"""Which tasks of a run a person means."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from nflow.core.events import RunStarted
from nflow.core.ids import RunId
from nflow.engine.engine import Engine
from nflow.engine.lines import Selection
from nflow.engine.log import readable
from nflow.errors import BlobLost, UsageError

#: By the name of each dag, its tasks.
Tasks = Mapping[str, Sequence[str]]


async def tasks_of(engine: Engine, run: RunId) -> Tasks | None:
    """The tasks that a run may have; None where that is not known: it has not begun, or its code is gone."""
    page = await engine.bus.read(engine.subjects.own(run), limit=1)
    for started in (event for record in page.records for event in readable(record)):
        if isinstance(started, RunStarted):
            try:
                spec = await engine.specs.get(started.spec)
            except BlobLost:
                return None
            return {name: [task.id for task in dag.tasks] for name, dag in spec.dags.items()}
    return None


def selection(text: str | None, tasks: Tasks | None, *, attempt: int | None = None) -> Selection:
    """What `reduce`, `reduce#2`, `sub_dag:2/reduce`, `sub_dag/reduce` or `sub_dag:2/` means. A mere name: in all dags.

    Args:
        text: As it was typed; None: all tasks.
        tasks: Those that there are; None: anything may be one.
        attempt: Only this one.

    Raises:
        UsageError: there is no such task.
    """
    if text is None:
        return Selection(attempt=attempt)
    every = {task for names in (tasks or {}).values() for task in names}
    if "/" not in text or text in every:
        wanted = Selection(task=text, attempt=attempt)
    else:
        dag, _, task = text.partition("/")
        wanted = Selection(dag=dag or None, task=task or None, attempt=attempt)
    if tasks is not None:
        _refuse_unknown(text, wanted, tasks)
    return wanted


def _refuse_unknown(text: str, wanted: Selection, tasks: Tasks) -> None:
    dags = {name: names for name, names in tasks.items() if wanted.dag is None or name == _name_of(wanted.dag)}
    if not dags:
        raise UsageError(f"No dag '{wanted.dag}' in this run. There are: {', '.join(tasks)}.")
    known = [task for names in dags.values() for task in names]
    if wanted.task is not None and wanted.task not in known:
        if _name_of(text) in tasks:
            raise UsageError(f"'{text}' is a dag. For what all of its tasks wrote: '{text}/'.")
        close = get_close_matches(wanted.task, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(dict.fromkeys(known[:20]))}."
        raise UsageError(f"No task '{wanted.task}' in this run. {hint}")


def _name_of(dag: str) -> str:
    """The name of a dag as it is defined, whichever run of it is meant."""
    name, colon, number = dag.rpartition(":")
    return name if colon and number.isdecimal() else dag
