"""Bad input: exit code 2, a line or two that say what to do, and nothing is started."""

import shlex
from pathlib import Path

import pytest

from nflow.cli.app import app
from nflow.cli.edge import guarded

CYCLE = """
from nflow.models import Dag
from nflow.tasks import PythonTask
a, b = (PythonTask(name=name, callback=lambda data, store, signal, context: None) for name in "ab")
dag = Dag("main")
dag.define({a: b, b: a})
"""
OPEN = "from nflow.models import Dag\ndag = Dag('main'\n"
NO_DAG = "x = 1\n"
RAISES = "from nflow.models import Dag\n\nopen('/no/such/file')\n"
NEEDS = "import no_such_module_anywhere\n"
NO_SCHEMA = "from nflow.models import Dag\ndag = Dag('main')\n"
HOLDS = """
import threading
from nflow.models import Dag
from nflow.tasks import PythonTask
class Camera:
    lock = threading.Lock()
    def __init__(self):
        self.handle = self.lock
camera = Camera()
dag = Dag("main")
dag.define({PythonTask(name="shoot", callback=lambda data, store, signal, context: print(camera.handle)): None})
"""
HOLDS_DEFAULT = """
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask
parameters = Parameters([Option("names", default="ab", type=lambda text: (name for name in text))])
dag = Dag("main")
dag.define({PythonTask(name="a"): None})
"""
EXITS = "import sys\nsys.exit(0)\n"
ODD = "class Skipped(BaseException): pass\nraise Skipped('not today')\n"
BAD_FILES = {
    "cycle": CYCLE,
    "open": OPEN,
    "no_dag": NO_DAG,
    "raises": RAISES,
    "needs": NEEDS,
    "no_schema": NO_SCHEMA,
    "holds": HOLDS,
    "holds_default": HOLDS_DEFAULT,
    "exits": EXITS,
    "speechless": "class Sad(Exception):\n    def __str__(self): raise ValueError\nraise Sad\n",
    "long": "raise ValueError('first\\nsecond\\nthird\\nfourth')\n",
    "odd": ODD,
    "empty": "",
    "null": "x = 1\0\n",
}


@pytest.fixture
def here(nflow_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with workflows, good ones and bad ones."""
    for name, text in BAD_FILES.items():
        (nflow_folder / f"{name}.py").write_text(text)
    (nflow_folder / "latin.py").write_bytes("grün = 'grün'\n".encode("latin-1"))
    for name in ("folder", "folder.py"):
        (nflow_folder / name).mkdir()
    monkeypatch.chdir(nflow_folder)
    monkeypatch.setenv("NFLOW_HOME", str(nflow_folder / "home"))
    return nflow_folder


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("run tow", "Did you mean 'two'?"),
        ("run ./tow.py", "Did you mean 'two'?"),
        ("run nothing_like_it", "Give its path, or its name"),
        ("run sequence", "'sequence' is an example; to have it here: nflow examples copy ."),
        ("start sequence", "nflow examples copy ."),
        ("run open", "open.py, line 2: '(' was never closed"),
        ("run cycle", "Dag 'main' has a cycle: a -> b -> a."),
        ("run no_dag", "no_dag.py defines no Dag."),
        ("run raises", "raises.py, line 3: FileNotFoundError"),
        ("run needs", "it needs the module 'no_such_module_anywhere'"),
        ("run no_schema", "Dag 'main' has no schema."),
        ("start no_schema", "Dag 'main' has no schema."),
        ("run holds", "Task 'shoot' cannot be sent to another process: global 'camera' in <lambda>().handle is a lock"),
        ("start holds", "global 'camera' in <lambda>().handle is a lock"),
        ("run holds_default", "Parameter 'names' cannot be sent to another process: a generator"),
        ("run exits", "exits.py, line 2: it ends Python while it is read. Call exit() only under"),
        ("run speechless", "speechless.py, line 3: Sad. `python "),
        ("run long", "long.py, line 1: ValueError: first. `python "),
        ("run odd", "odd.py, line 2: Skipped: not today"),
        ("run empty", "empty.py defines no Dag."),
        ("run null", "Cannot load null.py: source code string cannot contain null bytes. Is it a Python file?"),
        ("run latin", "it is not UTF-8. Save it so, or name its encoding in its first line"),
        ("run folder", "'folder' is a folder. Name a workflow file in it: folder/NAME.py"),
        ("run folder.py", "'folder.py' is a folder."),
        ("run two -q ''", "A queue of two has no name."),
        ("start two -q ' '", "A queue of two has no name."),
        ("run told", "Add iterations=VALUE, of type int."),
        ("run told iterations=many", "'iterations': Cannot convert 'many' to int."),
        ("run told iteration=5", "Did you mean 'iterations'?"),
        ("start told iteration=5", "Did you mean 'iterations'?"),
        ("run two x=5", "This workflow takes none."),
        ("run told iterations", "Write it as KEY=VALUE"),
        ("run told iterations=5 iterations=6", "given twice"),
        ("run", "Missing argument 'WORKFLOW'.\n       For how to use it: nflow run --help"),
        ("stop", "Missing argument 'RUN'.\n       For how to use it: nflow stop --help"),
        ("runn two", "No such command 'runn'. Did you mean 'run', 'runs'?\n       For how to use it: nflow --help"),
        ("run two --jsno", "No such option: --jsno (Possible options: --json"),
        ("run two --slots 0", "Invalid value for '--slots'"),
        ("run two --slots two", "Invalid value for '--slots'"),
        ("stop @last --grace -1", "Invalid value for '--grace'"),
        ("worker --slots 0", "Invalid value for '--slots'"),
        ("status --server nats://user:secret@host", "an address holds no secrets"),
        ("check tow", "Did you mean 'two'?"),
        ("check sequence", "nflow examples copy ."),
        ("examples copy", "nflow examples copy --help"),
        ("examples copy nowhere", "'nowhere' does not exist."),
        ("examples copy two.py", "'two.py' is a file."),
    ],
)
def test_bad_input_is_told_with_advice(here: Path, capsys, command: str, advice: str):
    code = guarded(lambda: app(shlex.split(command), prog_name="nflow", standalone_mode=False))

    told = capsys.readouterr()
    assert code == 2
    assert advice in told.err
    assert told.err.startswith("nflow: ")
    assert len(told.err.splitlines()) <= 2
    assert told.out == ""
    assert not (here / "home").exists(), "something was started"


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("NFLOW_WORKER_SLOTS", "many", "NFLOW_WORKER_SLOTS: "),
        ("NFLOW_SERVER_ULR", "nats://host", "Did you mean 'server.url'?"),
        ("NFLOW_CONFIG", "/no/such/file", "Cannot read the settings in /no/such/file"),
    ],
)
def test_bad_settings_are_told_with_advice(here: Path, capsys, monkeypatch, name: str, value: str, advice: str):
    monkeypatch.setenv(name, value)

    code = guarded(lambda: app(["status"], prog_name="nflow", standalone_mode=False))

    assert code == 2
    assert advice.replace("server.url", "NFLOW_SERVER_URL") in capsys.readouterr().err


def test_a_workflow_is_looked_up_here_in_examples_and_in_the_configured_folders(here: Path, capsys, monkeypatch):
    for folder, name in {"examples": "in_examples", "mine": "in_mine", "theirs": "in_theirs"}.items():
        (here / folder).mkdir()
        (here / folder / f"{name}.py").write_text((here / "told.py").read_text())
    monkeypatch.setenv("NFLOW_WORKFLOWS_FOLDERS", f"{here / 'mine'}:{here / 'theirs'}")

    for name in ("told", "./told.py", "in_examples", "examples/in_examples.py", "in_mine", "in_theirs"):
        guarded(lambda name=name: app(["run", name], prog_name="nflow", standalone_mode=False))
        assert "Parameter 'iterations'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    ["", "run", "start", "stop", "status", "list", "check", "doctor", "worker", "workers", "server", "examples"],
)
def test_every_command_has_help_with_an_example(capsys, command: str):
    code = guarded(lambda: app([*command.split(), "--help"], prog_name="nflow", standalone_mode=False))

    assert code == 0
    told = capsys.readouterr().out
    assert f"Usage: nflow {command}".rstrip() in told
    assert "Example:" in told or "Try:" in told or "COMMAND" in told
