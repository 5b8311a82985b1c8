"""`nflow show`: all there is to know of one run, or of one of its tasks."""

from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, TaskArgument, UtcOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.times import Clock
from nflow.cli.console.values import written
from nflow.cli.history.asking import asking
from nflow.errors import UsageError

if TYPE_CHECKING:
    from nflow.cli.history.asking import Asked
    from nflow.history.questions import RunLine, Story


def show(
    run: Annotated[str, typer.Argument(help="Id of a run, a beginning of it, or @last.", metavar="RUN")],
    task: TaskArgument = None,
    utc: UtcOption = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Tell all about a run: its dags and tasks, how long they took, who ran them, what failed and why.

    [dim]Example:[/dim]  nflow show @last reduce
    """
    settings = load_settings(server)
    from nflow import loop  # noqa: PLC0415 - as the history, needed only from here on
    from nflow.cli.history import pages  # noqa: PLC0415
    from nflow.cli.history.plainly import plain_run  # noqa: PLC0415

    async def work() -> "tuple[Story | None, Asked, str]":
        async with asking(settings) as asked:
            found = asked.find(run)
            return asked.questions.run(found, task=task), asked, found

    story, asked, found = loop.run(work())
    clock = Clock(now=asked.now, utc=utc)
    waiting = asked.waiting.get(found)
    if waiting is not None and (story is None or story.run.started is None):
        _show_waiting(waiting, clock, as_json=as_json)
        return
    assert story is not None, "it was found in the history"
    if waiting is not None:  # to go on: of that no log tells before somebody has taken it
        story.run.state, story.run.reason, story.run.ended = waiting.state, waiting.reason, None
    story.run.reason = asked.lacks.get(found, story.run.reason)
    if task is not None and not any(dag.tasks for dag in story.run.dags.values()):
        raise UsageError(_no_task(task, story, asked))
    if as_json:
        say(written(plain_run(story)))
    elif task is None:
        pages.print_run(story, clock)
    else:
        pages.print_tasks(story, clock)


def _show_waiting(line: "RunLine", clock: Clock, *, as_json: bool) -> None:
    """A run that nobody has taken yet has nothing but its place in the queue."""
    from nflow.cli.history.pages import print_waiting  # noqa: PLC0415 - see above
    from nflow.cli.history.plainly import plain_line  # noqa: PLC0415

    if as_json:
        say(written(plain_line(line)))
    else:
        print_waiting(line, clock)


def _no_task(task: str, story: "Story", asked: "Asked") -> str:
    run = story.run.run
    whole = asked.questions.run(run)
    assert whole is not None, "it was there a moment ago"
    names = [f"{dag.id}/{each}" for dag in whole.run.dags.values() for each in dag.tasks]
    known = f"There are: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else "None has begun yet."
    return f"No task '{task}' of run {run} ({story.run.workflow}) has been heard of. {known}"
