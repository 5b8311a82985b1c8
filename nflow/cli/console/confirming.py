"""Asking a person before something is removed."""

import sys

import typer

from nflow.errors import UsageError


def confirm(question: str, *, yes: bool) -> None:
    """Go on if the answer is yes, or was given before.

    Raises:
        UsageError: nobody can be asked.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody can be asked here: add --yes.")
    typer.confirm(question, abort=True)
