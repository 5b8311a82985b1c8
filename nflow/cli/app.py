"""`nflow`: all commands in one place, each imported only for what it needs, so that `--help` is quick."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from nflow import __version__, loop
from nflow.cli import server, status, stop
from nflow.cli.dead import dead
from nflow.cli.doctor import doctor
from nflow.cli.edge import DEBUG, guarded
from nflow.cli.files import check, examples, listing
from nflow.cli.files.reading import leave
from nflow.cli.history import history, runs, show
from nflow.cli.logs import events, logs
from nflow.cli.run import retry, run, start
from nflow.cli.store import store
from nflow.cli.top import top
from nflow.cli.worker import worker

app = typer.Typer(
    name="nflow",
    help="Durable workflows of Python tasks. Try:  nflow examples copy .  then  nflow run sequence",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nflow {__version__}")
        raise typer.Exit


@app.callback()
def nflow(
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors and a log of what happens.")
    ] = False,
) -> None:
    """Durable workflows of Python tasks."""
    DEBUG.set(debug)


app.command("run")(run.run)
app.command("start")(start.start)
app.command("stop")(stop.stop)
app.command("retry")(retry.retry)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("events")(events.events)
app.command("runs")(runs.runs)
app.command("show")(show.show)
app.command("list")(listing.list_)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.command("top")(top.top)
app.command("worker")(worker.worker)
app.command("workers")(worker.workers)
app.add_typer(server.app, name="server")
app.add_typer(store.app, name="store")
app.add_typer(dead.app, name="dead")
app.add_typer(history.app, name="history")
app.add_typer(examples.app, name="examples")


def main() -> None:
    """The program `nflow`."""
    sys.stdout, sys.stderr = _open(sys.stdout), _open(sys.stderr)
    loop.calm_garbage_collection()
    leave(guarded(lambda: app(_debug_first(sys.argv[1:]), standalone_mode=False)))


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` may stand anywhere: it is thought of last, when a command has failed."""
    others = [argument for argument in arguments if argument != "--debug"]
    return others if len(others) == len(arguments) else ["--debug", *others]


def _open(stream: TextIO | None) -> TextIO:
    """An output that takes anything: closed, it is nowhere; what its encoding lacks becomes a question mark."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream
