"""A run that has ended and is to go on: looked at, given other parameters, begun again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nflow.cli.files.reading import reading
from nflow.cli.run.undertaking import Begun
from nflow.client.changes import encoded_changes
from nflow.engine.lines import last_line
from nflow.engine.retrying import Past, refuse_if_needless, reopening_of
from nflow.engine.serving import Needs
from nflow.errors import UsageError
from nflow.models.workflow import Workflow, load
from nflow.runs import Runs, view_of, whoever_asks
from nflow.view.run import RunView
from nflow.wire.python import python_tag
from nflow.wire.values import Encoded


class Retrial:
    """A run that goes on."""

    _past: Past
    _parameters: Mapping[str, Encoded]

    def __init__(self, run: str, *, tasks: Sequence[str], changes: Mapping[str, str]) -> None:
        self._text = run
        self._tasks = tasks
        self._changes = changes

    @property
    def name(self) -> str:
        """Of the workflow."""
        return self._past.entry.workflow

    @property
    def needs(self) -> Needs:
        """What it needs to have served."""
        spec = self._past.spec
        tasks = frozenset(task.queue for dag in spec.dags.values() for task in dag.tasks)
        return Needs(queues=tuple(self._past.queues), tasks=tasks, python=spec.python)

    async def look(self, client: Runs, *, works: bool) -> None:
        """Find the run, and make sure that what is asked for can be done."""
        past = self._past = await client.past((await client.find(self._text)).run)
        refuse_if_needless(past, self._tasks)
        reopening_of(past, self._tasks, {}, by="")
        if works and past.spec.python != python_tag():
            raise UsageError(
                f"Only Python {past.spec.python} can open the tasks of run {past.entry.run} ({self.name}); this is "
                f"{python_tag()}. Use nflow with that Python, or start the run anew."
            )
        self._parameters = await encoded_changes(client.engine, past, self._changes, _read)

    async def begin(self, client: Runs) -> Begun:
        """Begin it again."""
        run = self._past.entry.run
        after = await last_line(client.engine, run)
        opening = await client.reopen(self._past, tasks=self._tasks, parameters=self._parameters, by=whoever_asks())
        return Begun(run=run, opening=opening, after=after)

    def view(self) -> RunView:
        """A view that has seen nothing yet."""
        return view_of(self._past.spec)


def _read(path: Path) -> Workflow:
    with reading(path):
        return load(path)
