"""The modules beside a workflow file that its tasks import: what must be found on the workers too."""

import ast
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from nflow.files.found import imported


def neighbours(file: Path, codes: Iterable[bytes]) -> list[str]:
    """Names of the modules in the folder of `file` that these pickles refer to."""
    folder = file.parent.resolve()
    here = {*_loaded_from(folder), *_imported_from(file, folder)} - {file.stem}
    packed = list(codes)
    return sorted({name.partition(".")[0] for name in here if any(_is_in(code, name) for code in packed)})


def _loaded_from(folder: Path) -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        top = sys.modules.get(name.partition(".")[0])
        origin = getattr(top, "__file__", None)
        if isinstance(origin, str) and module is not None and _is_beside(Path(origin), folder):
            yield name


def _imported_from(file: Path, folder: Path) -> Iterator[str]:
    """Also those that only a task will import."""
    with suppress(OSError, SyntaxError, ValueError):
        for node in ast.walk(ast.parse(file.read_bytes())):
            for name in imported(node):
                top = folder / name.partition(".")[0]
                if top.with_name(f"{top.name}.py").is_file() or (top / "__init__.py").is_file():
                    yield name


def _is_beside(origin: Path, folder: Path) -> bool:
    place = origin.parent.parent if origin.name == "__init__.py" else origin.parent
    return place.resolve() == folder


def _is_in(code: bytes, name: str) -> bool:
    """Whether a pickle holds this very text: as a short one, after its length."""
    text = name.encode()
    return len(text) < 256 and b"\x8c" + bytes([len(text)]) + text in code
