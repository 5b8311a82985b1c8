"""`nflow dead`: jobs that no worker could handle; why, and what is to become of them."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.console.confirming import confirm
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json
from nflow.cli.edge import FAILED, say_error
from nflow.errors import ReplayRefused, UsageError

if TYPE_CHECKING:
    from nflow.cli.dead.letters import Letters
    from nflow.engine.dead_letters.letters import DeadLetter

app = typer.Typer(
    help="Look at the jobs that no worker could handle, each with the reason, and put them back or remove them.",
    no_args_is_help=True,
)

IdArgument = Annotated[int, typer.Argument(help="Id of a dead letter, as listed.", metavar="ID")]
IdsArgument = Annotated[list[int] | None, typer.Argument(help="Ids of dead letters, as listed.", metavar="ID...")]
RunOption = Annotated[
    str | None, typer.Option("--run", help="Those of this run: its id, a beginning of it, or @last.", metavar="RUN")
]
AllOption = Annotated[bool, typer.Option("--all", "-a", help="All that there are.")]


@app.command("list")
def list_(run: RunOption = None, as_json: JsonOption = False, server: ServerOption = None) -> None:
    """List the dead letters, the newest last.

    [dim]Example:[/dim]  nflow dead list --run @last
    """
    from nflow import loop  # noqa: PLC0415 - the bus and all that is needed only from here on
    from nflow.cli.dead.letters import as_row, print_letters  # noqa: PLC0415

    async def work() -> None:
        async with _letters(server) as letters:
            found = await letters.of(run)
            if as_json:
                print_json([as_row(letter) for letter in found])
            elif found:
                print_letters(found)
            else:
                say("No dead letters.")

    loop.run(work())


@app.command("show")
def show(
    id_: IdArgument,
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes of the job to stdout, and nothing else.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Show a dead letter: why it lies there, where it came from, and its job as far as that can be read.

    [dim]Example:[/dim]  nflow dead show 17
    """
    from nflow import loop  # noqa: PLC0415 - see above
    from nflow.cli.console.values import written  # noqa: PLC0415
    from nflow.cli.dead.letters import as_document, told  # noqa: PLC0415

    if raw and as_json:
        raise UsageError("--raw and --json exclude each other.")

    async def work() -> None:
        async with _letters(server) as letters:
            letter = await letters.get(id_)
            if raw:
                sys.stdout.buffer.write(letter.payload)
                return
            futility = await letters.futility(letter)
            say(written(as_document(letter, futility)) if as_json else told(letter, futility))

    loop.run(work())


@app.command("replay")
def replay(
    ids: IdsArgument = None,
    every: AllOption = False,
    run: RunOption = None,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> int:
    """Put jobs back into their queues, exactly as they were. What no worker would take up stays, with the reason.

    [dim]Example:[/dim]  nflow dead replay 17
    """
    from nflow import loop  # noqa: PLC0415 - see above

    async def work() -> int:
        async with _letters(server) as letters:
            chosen = await letters.chosen(ids, run, every=every)
            refused = {letter.id: why for letter in chosen if (why := await _refused(letters, letter))}
            if as_json:
                print_json([_as_told(letter, refused=refused.get(letter.id)) for letter in chosen])
            else:
                _tell_of_replay(chosen, refused)
            return FAILED if refused else 0

    return loop.run(work())


async def _refused(letters: "Letters", letter: "DeadLetter") -> ReplayRefused | None:
    """Put the job of one letter back; why not, if it stays."""
    try:
        await letters.replay(letter)
    except ReplayRefused as error:
        return error
    return None


def _tell_of_replay(chosen: "list[DeadLetter]", refused: "dict[int, ReplayRefused]") -> None:
    if not chosen:
        say("No dead letters.")
    for letter in chosen:
        if letter.id not in refused:
            say(f"Put back into queue '{letter.queue}': {letter.what}.")
        elif len(chosen) > 1:
            say_error(f"Dead letter {letter.id} stays. {refused[letter.id]}")
        else:
            raise refused[letter.id]


def _as_told(letter: "DeadLetter", refused: ReplayRefused | None) -> "dict[str, object]":
    """A letter for programs, and why it stays; null if its job is in its queue again."""
    from nflow.cli.dead.letters import as_row  # noqa: PLC0415 - see above

    return {**as_row(letter), "refused": None if refused is None else str(refused)}


@app.command("drop")
def drop(
    ids: IdsArgument = None,
    every: AllOption = False,
    run: RunOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """Remove dead letters, with their jobs.

    [dim]Example:[/dim]  nflow dead drop 17 18
    """
    from nflow import loop  # noqa: PLC0415 - see above
    from nflow.cli.dead.letters import as_row  # noqa: PLC0415

    async def work() -> None:
        async with _letters(server) as letters:
            chosen = await letters.chosen(ids, run, every=every)
            which = f"dead letter {chosen[0].id}" if len(chosen) == 1 else f"{len(chosen)} dead letters"
            if chosen:
                confirm(f"Remove {which} for good?", yes=yes)
            for letter in chosen:
                await letters.drop(letter)
            if as_json:
                print_json([as_row(letter) for letter in chosen])
            else:
                say(f"Removed {which}." if chosen else "No dead letters.")

    loop.run(work())


@asynccontextmanager
async def _letters(server: str | None) -> "AsyncIterator[Letters]":
    """The dead letters, on an open connection."""
    from nflow.cli.dead.letters import Letters  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(load_settings(server)) as engine:
        yield Letters(engine)
