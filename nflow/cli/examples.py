"""`nflow examples`: workflows to learn from, packed with nflow."""

import ast
import shutil
from pathlib import Path
from typing import Annotated

import typer

import nflow
from nflow.errors import UsageError

app = typer.Typer(help="List the examples, or copy them to a folder of yours.", no_args_is_help=True)


def folder() -> Path:
    """Where the examples are: in the installed package, or beside it in a checkout."""
    package = Path(nflow.__file__).parent
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent / "examples"


@app.command("list")
def list_() -> None:
    """List the examples.

    [dim]Example:[/dim]  nflow examples list
    """
    files = sorted(folder().glob("*.py"))
    width = max((len(file.stem) for file in files), default=0)
    for file in files:
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        typer.echo(f"{file.stem:<{width}}  {doc.partition(chr(10))[0]}")


@app.command("copy")
def copy(
    destination: Annotated[Path, typer.Argument(help="A folder; the examples go to its folder 'examples'.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there already.")] = False,
) -> None:
    """Copy the examples to DESTINATION/examples.

    [dim]Example:[/dim]  nflow examples copy .
    """
    if not destination.is_dir():
        raise UsageError(f"There is no folder '{destination}'. Make it first: mkdir -p '{destination}'")
    target = destination / "examples"
    files = sorted(folder().glob("*.py"))
    there = [file.name for file in files if (target / file.name).exists()]
    changed = [name for name in there if (target / name).read_bytes() != (folder() / name).read_bytes()]
    if changed and not force:
        raise UsageError(
            f"{target} has {', '.join(changed)} already, with other content. Add --force to overwrite, or copy elsewhere."
        )
    target.mkdir(exist_ok=True)
    for file in files:
        shutil.copy(file, target / file.name)
    typer.echo(f"Copied {len(files)} examples to {target}. Try: nflow run sequence")
