"""`nflow server`: the embedded server in the foreground."""

from nflow.cli.arguments import load_settings
from nflow.cli.console.streams import say
from nflow.errors import UsageError


def server() -> None:
    """Run the embedded server in the foreground, until Ctrl-C. Other commands of yours attach to it.

    [dim]Example:[/dim]  nflow server
    """
    settings = load_settings()
    if settings.server.url is not None:
        raise UsageError(f"Your commands use the server at {settings.server.url}. Unset server.url to use one here.")
    from nflow.server import serve_foreground  # noqa: PLC0415 - after bad settings have been told

    serve_foreground(settings, say)
