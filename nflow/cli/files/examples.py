"""`nflow examples`: workflows to learn from, packed with nflow."""

import ast
import shutil
from pathlib import Path
from typing import Annotated

import typer

import nflow
from nflow.cli.arguments import JsonOption
from nflow.cli.console.streams import say
from nflow.cli.console.table import print_json, print_table
from nflow.errors import UsageError

app = typer.Typer(help="List the examples, or copy them to a folder of yours.", no_args_is_help=True)


def folder() -> Path:
    """Where the examples are: in the installed package, or beside it in a checkout."""
    package = Path(nflow.__file__).parent
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "examples"


def files() -> list[Path]:
    """The examples."""
    return sorted(folder().glob("*.py"))


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the examples.

    [dim]Example:[/dim]  nflow examples list
    """
    found = [(file.stem, _purpose(file)) for file in files()]
    if as_json:
        print_json([{"name": name, "purpose": purpose} for name, purpose in found])
    else:
        print_table(("example", "what it shows"), found)


@app.command("copy")
def copy(
    destination: Annotated[
        Path, typer.Argument(help="A folder; the examples go to its folder 'examples'.", metavar="FOLDER")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that you have changed.")] = False,
) -> None:
    """Copy the examples to FOLDER/examples.

    [dim]Example:[/dim]  nflow examples copy .
    """
    if not destination.is_dir():
        what = "is a file" if destination.exists() else "does not exist"
        raise UsageError(f"'{destination}' {what}. Name a folder that is there, e.g. nflow examples copy .")
    target = destination / "examples"
    there = [(file, target / file.name) for file in (*files(), folder() / "README.md")]
    changed = [own.name for file, own in there if own.exists() and own.read_bytes() != file.read_bytes()]
    if changed and not force:
        names = ", ".join(changed)
        raise UsageError(f"{target} has its own {names}. Add --force to overwrite, or copy elsewhere.")
    target.mkdir(exist_ok=True)
    for file, own in there:
        shutil.copyfile(file, own)
    say(f"Copied {len(there) - 1} examples to {target}; its README.md leads through them. Try: nflow run sequence")


def _purpose(file: Path) -> str:
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return doc.partition("\n")[0]
