"""`nflow store`: look at the data of a run, while it goes on or when it has kept them, and change them."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.console.confirming import confirm
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json
from nflow.cli.edge import FAILED

if TYPE_CHECKING:
    from nflow.cli.store.stored import StoredData

app = typer.Typer(
    help="Look at the data that the tasks of a run share, or change them: in runs that go on, and in those that have "
    "kept their data, as failed and stopped ones do for 7 days, and others with --keep-data.",
    no_args_is_help=True,
)


class Section(StrEnum):
    """The two parts of a store."""

    DATA = "data"
    META = "meta"


RunArgument = Annotated[str, typer.Argument(help="Id of a run, a beginning of it, or @last.", metavar="RUN")]
KeyArgument = Annotated[str, typer.Argument(help="A key, with dots between its parts.", metavar="KEY")]
SectionOption = Annotated[
    Section, typer.Option("--section", help="Users' data, or what is noted of the run: log, start_time, queue …")
]


@app.command("get")
def get(
    run: RunArgument,
    key: KeyArgument,
    section: SectionOption = Section.DATA,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> int:
    """Print the value at a key: text as it is, other values as JSON, arrays by their kind and shape.

    [dim]Example:[/dim]  nflow store get @last sample.name
    """
    from nflow import loop  # noqa: PLC0415 - the bus and all that is needed only from here on

    async def work() -> int:
        async with _stored(run, section, server) as data:
            return _printed(*await data.shown(key, as_json=as_json))

    return loop.run(work())


@app.command("set")
def set_(
    run: RunArgument,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(help="JSON; what is none is taken as text.", metavar="VALUE")],
    section: SectionOption = Section.DATA,
    server: ServerOption = None,
) -> None:
    """Put a value at a key.

    [dim]Example:[/dim]  nflow store set @last limits.temperature 35.5
    """
    from nflow import loop  # noqa: PLC0415 - see above

    async def work() -> None:
        async with _stored(run, section, server) as data:
            await data.set(key, value)
            say(f"Set '{key}' of {data.entry.workflow} ({data.entry.run}).")

    loop.run(work())


@app.command("keys")
def keys(
    run: RunArgument,
    prefix: Annotated[str, typer.Argument(help="List only what is below this key.", metavar="PREFIX")] = "",
    section: SectionOption = Section.DATA,
    as_json: JsonOption = False,
    server: ServerOption = None,
) -> None:
    """List the keys of all values.

    [dim]Example:[/dim]  nflow store keys @last sample
    """
    from nflow import loop  # noqa: PLC0415 - see above

    async def work() -> list[str]:
        async with _stored(run, section, server) as data:
            return await data.keys(prefix)

    found = loop.run(work())
    if as_json:
        print_json(found)
    elif found:
        say("\n".join(found))


@app.command("export")
def export(run: RunArgument, section: SectionOption = Section.DATA, server: ServerOption = None) -> int:
    """Print all values as one JSON object: arrays as lists, bytes in base64.

    [dim]Example:[/dim]  nflow store export @last > run.json
    """
    from nflow import loop  # noqa: PLC0415 - see above

    async def work() -> int:
        async with _stored(run, section, server) as data:
            return _printed(*await data.exported())

    return loop.run(work())


@app.command("rm")
def rm(
    run: RunArgument,
    key: Annotated[
        str | None, typer.Argument(help="A key; without one, all data of the run are removed.", metavar="KEY")
    ] = None,
    section: SectionOption = Section.DATA,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Though the run is still going on.")] = False,
    server: ServerOption = None,
) -> None:
    """Remove the value at a key, or all data of a run: its store, and what its tasks handed on.

    [dim]Example:[/dim]  nflow store rm @last sample.notes
    """
    from nflow import loop  # noqa: PLC0415 - see above

    async def work() -> None:
        async with _stored(run, section, server) as data:
            whose = f"{data.entry.workflow} ({data.entry.run})"
            if key is not None:
                await data.remove(key)
                say(f"Removed '{key}' of {whose}.")
                return
            data.refuse_while_going_on(force=force)
            confirm(f"Remove all data of {whose}?", yes=yes)
            await data.drop()
            say(f"Removed all data of {whose}.")

    loop.run(work())


@asynccontextmanager
async def _stored(run: str, section: Section, server: str | None) -> "AsyncIterator[StoredData]":
    """The data of a run, on an open connection."""
    from nflow.cli.store.stored import StoredData  # noqa: PLC0415 - the bus is needed only from here on
    from nflow.runs import Runs  # noqa: PLC0415
    from nflow.session import open_engine  # noqa: PLC0415

    async with open_engine(load_settings(server)) as engine:
        yield StoredData(engine, await Runs(engine).find(run), section)


def _printed(text: str, notes: list[str], missing: list[str]) -> int:
    """Print what was found; notes and what could not be had go to stderr."""
    say(text)
    for note in (*notes, *missing):
        sys.stderr.write(f"nflow: {note}\n")
    return FAILED if missing else 0
