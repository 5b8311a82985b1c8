"""`nflow doctor`: what is wrong with this installation, its settings and its server, and what to do about it."""

import logging
from typing import TYPE_CHECKING

from nflow.cli.arguments import JsonOption, ServerOption, load_settings
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json
from nflow.cli.edge import FAILED, log_to_stderr
from nflow.errors import ConfigError, ServerError

if TYPE_CHECKING:
    from nflow.cli.doctor.finding import Finding

_MARKS = {"ok": "✔", "warning": "!", "problem": "✘"}


def doctor(as_json: JsonOption = False, server: ServerOption = None) -> int:
    """Look at Python, the settings, the state directory and the server, and say what to do where something is wrong.

    Nothing is started. Exit code 1 for a problem, 3 when the configured server cannot be reached.

    [dim]Example:[/dim]  nflow doctor
    """
    log_to_stderr(logging.CRITICAL)
    found = _look(server)
    if as_json:
        print_json(found)
    else:
        say("\n".join(map(_line, found)))
    return _exit_code(found, server)


def _look(server: str | None) -> "list[Finding]":
    from nflow.cli.doctor import surroundings  # noqa: PLC0415 - `--help` needs none of them
    from nflow.cli.doctor.finding import Finding, limited, problem  # noqa: PLC0415

    found = surroundings.python()
    try:
        settings = load_settings(server)
    except ConfigError as error:
        return [*found, problem("settings", str(error))]
    from nflow import loop  # noqa: PLC0415
    from nflow.cli.doctor.service import address, service  # noqa: PLC0415

    reachable = address(settings)
    return [
        *found,
        *limited("settings", lambda: surroundings.settings_file(settings)),
        *limited("state", lambda: surroundings.state_directory(settings)),
        *limited("nats-server", lambda: surroundings.server_program(settings)),
        *([reachable] if isinstance(reachable, Finding) else loop.run(service(reachable))),
    ]


def _line(finding: "Finding") -> str:
    line = f"{_MARKS[finding.state]} {finding.check:<13} {finding.told}"
    return f"{line}\n{'':16}{finding.advice}" if finding.advice else line


def _exit_code(found: "list[Finding]", server: str | None) -> int:
    wrong = [finding.check for finding in found if finding.state == "problem"]
    if "server" in wrong and load_settings(server).server.url is not None:
        return ServerError.exit_code
    return FAILED if wrong else 0
