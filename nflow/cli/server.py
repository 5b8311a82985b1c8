"""`nflow server`: the embedded server in the foreground."""

import typer

from nflow.cli.arguments import load_settings


def server() -> None:
    """Run the embedded server in the foreground, until Ctrl-C. Other commands of yours attach to it.

    [dim]Example:[/dim]  nflow server
    """
    settings = load_settings()
    from nflow.server import serve_foreground  # noqa: PLC0415 - after bad settings have been told

    serve_foreground(settings, typer.echo)
