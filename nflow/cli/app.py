"""`nflow`: all commands in one place, each imported only for what it needs, so that `--help` is quick."""

import sys
from typing import Annotated

import typer

from nflow import __version__
from nflow.cli import examples, run, server, start, status, stop, worker
from nflow.cli.edge import DEBUG, guarded

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
    version: Annotated[
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
app.command("status")(status.status)
app.command("worker")(worker.worker)
app.command("workers")(worker.workers)
app.command("server")(server.server)
app.add_typer(examples.app, name="examples")


def main() -> None:
    """The program `nflow`."""
    sys.exit(guarded(lambda: app(standalone_mode=False)))
