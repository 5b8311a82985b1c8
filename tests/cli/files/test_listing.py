"""`nflow list`: every file that can be run by name, and the reasons of those that cannot."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from nflow.cli.app import app
from nflow.cli.edge import guarded
from nflow.files.found import candidates, look_into
from nflow.server.process import wait_until_ended
from tests.cli.program import PATIENCE, Program

GOOD = """'''Count up.

And more.'''
from nflow.models import Dag, Option, Parameters
from nflow.tasks import PythonTask
parameters = Parameters([Option("data", help="a folder"), Option("limit", 0.5, type=float)])
dag = Dag("main", schema={PythonTask("a"): PythonTask("b")})
sub = Dag("sub", autostart=False, schema={})
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("NFLOW_HOME", str(tmp_path / "home"))
    return tmp_path / "here"


def nflow(*arguments: str) -> int:
    return guarded(lambda: app(list(arguments), prog_name="nflow", standalone_mode=False))


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def problem_of(text: str, *, seconds: float = PATIENCE) -> str | None:
    write(Path(), scan=text)
    [found] = look_into(candidates(), seconds=seconds)
    return found.problem


def test_a_workflow_is_listed_with_its_purpose_its_parameters_and_its_dags(here: Path, capsys):
    write(here, scan=GOOD)

    code = nflow("list", "--json")

    assert code == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "scan",
            "path": str(here / "scan.py"),
            "purpose": "Count up.",
            "parameters": [
                {"name": "data", "type": "str", "default": None, "required": True, "help": "a folder"},
                {"name": "limit", "type": "float", "default": 0.5, "required": False, "help": ""},
            ],
            "dags": [{"name": "main", "autostart": True, "tasks": 2}, {"name": "sub", "autostart": False, "tasks": 0}],
            "problem": None,
        }
    ]


def test_a_broken_file_hides_no_other(here: Path, capsys):
    write(
        here, scan=GOOD, cycle=GOOD.replace("schema={}", "schema={t: t}").replace("sub =", "t = PythonTask('t')\nsub =")
    )
    write(here, syntax="import nflow\ndef (", name_error=f"{GOOD}\nzzz\n")

    code = nflow("list")

    assert code == 0
    scan, cycle, name_error, syntax = capsys.readouterr().out.splitlines()[1:]
    assert scan.split() == ["scan", "main,", "sub", "data=...", "limit=0.5", "Count", "up."]
    assert cycle.startswith("cycle cannot be run: cycle.py, line 9: Dag 'sub' has a cycle: t -> t")
    assert name_error.startswith("name_error cannot be run: Cannot load name_error.py, line 10: NameError")
    assert syntax.startswith("syntax cannot be run: Cannot load syntax.py, line 2: invalid syntax")


def test_it_looks_where_run_looks_and_the_first_of_a_name_counts(here: Path, capsys, monkeypatch):
    site = here.parent / "site"
    write(here, both=GOOD)
    write(here / "examples", both=GOOD.replace("Count up", "Not found"), example=GOOD)
    write(site, example=GOOD.replace("Count up", "Not found"), far=GOOD)
    monkeypatch.setenv("NFLOW_WORKFLOWS_FOLDERS", str(site))

    nflow("list")

    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["both", "example", "far"]
    assert all("Count up" in line for line in lines)


def test_files_that_do_not_import_nflow_are_no_workflows(here: Path):
    write(here, plain="x = 1\n", speaks="'''Of nflow.'''\nx = 1\n", broken="def (", numpy_like="import nflowers\n")
    write(here, lazy="def f():\n    from nflow.models import Dag\n", half="def (\nimport nflow\n")
    (here / "folder.py").mkdir()
    (here / "nowhere.py").symlink_to(here / "gone.py")

    assert [file.stem for file in candidates()] == ["half", "lazy"]


def test_without_a_workflow_it_says_how_to_get_some(here: Path, capsys):
    assert nflow("list") == 0
    assert "nflow examples copy ." in capsys.readouterr().out


def test_what_a_file_prints_or_asks_is_no_part_of_the_listing(here: Path, capfd):
    write(here, asks=f"{GOOD}\ninput('your name? ')\n")
    write(
        here, prints=f"{GOOD}\nprint('[]', flush=True)\nimport os\nos.system('echo from outside; echo and here >&2')\n"
    )

    nflow("list", "--json")

    out, err = capfd.readouterr()
    asks, prints = json.loads(out)
    assert err == ""
    assert "EOFError" in asks["problem"]
    assert prints["problem"] is None


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("import sys\nsys.exit(0)\n", "it ends Python while it is read"),
        ("import os\nos._exit(0)\n", "scan.py ends Python with os._exit(0) while it is read"),
        ("import os\nos.abort()\n", "scan.py is killed by SIGABRT while it is read"),
        ("raise KeyboardInterrupt\n", "scan.py raises KeyboardInterrupt while it is read"),
    ],
)
def test_a_file_that_ends_python_is_told(here: Path, ending: str, told: str):
    assert told in (problem_of(GOOD + ending) or "")


@pytest.mark.parametrize(
    "harmless",
    [
        "import os\nos.closerange(0, 256)\n",
        "import os\nos.chdir('/')\n",
        "import argparse\nargparse.ArgumentParser().parse_args()\n",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\n",
        "import multiprocessing\nmultiprocessing.get_context('spawn').Process(target=print).start()\n",
    ],
)
def test_a_file_that_is_odd_is_listed_all_the_same(here: Path, harmless: str):
    assert problem_of(GOOD + harmless) is None


def test_a_file_named_like_a_module_of_python_is_listed(here: Path):
    write(here, random=f"import random\nrandom.random()\n{GOOD}", json=GOOD, tempfile=GOOD)

    found = look_into(candidates())

    assert [(each.name, each.problem) for each in found] == [("json", None), ("random", None), ("tempfile", None)]


def test_a_file_that_does_not_end_is_given_up(here: Path):
    start = time.monotonic()
    write(here, good=GOOD)
    write(here, scan=f"{GOOD}\nimport threading\nthreading.Event().wait()\n")

    good, slow = look_into(candidates(), seconds=1.0)

    assert good.problem is None
    assert slow.problem == (
        "scan.py still runs after 1 s. What a file does when it is read happens at each listing and each start: "
        "move it into a task."
    )
    assert time.monotonic() - start < PATIENCE


def test_what_a_file_has_started_ends_with_the_listing(here: Path):
    problem = problem_of(
        f"{GOOD}\nimport subprocess, pathlib\n"
        "child = subprocess.Popen(['sleep', '1000'])\npathlib.Path('pid').write_text(str(child.pid))\n"
    )

    assert problem is None
    assert wait_until_ended(int((here / "pid").read_text()), PATIENCE)


def test_secrets_of_nflow_are_not_shown_to_the_files(here: Path, monkeypatch):
    monkeypatch.setenv("NFLOW_SERVER_TOKEN", "secret")

    assert problem_of(f"{GOOD}\nimport os\nassert 'NFLOW_SERVER_TOKEN' not in os.environ\n") is None


def test_ctrl_c_ends_a_listing_and_all_that_it_has_started(tmp_path: Path):
    program = Program(tmp_path, tmp_path / "home")
    os.mkfifo(tmp_path / "pid")
    write(
        tmp_path,
        slow="import nflow, os, threading\nwith open('pid', 'w') as pipe:\n    pipe.write(str(os.getpid()))\n"
        "threading.Event().wait()\n",
    )
    listing = program.start("list")
    pid = int((tmp_path / "pid").read_text())

    done = listing.send(signal.SIGINT).done()

    assert done.code == 130
    assert "Traceback" not in done.err
    assert wait_until_ended(pid, PATIENCE)


def test_a_file_that_would_list_workflows_itself_when_it_is_read_is_told_instead_of_read_for_ever(here: Path):
    problem = problem_of("import nflow\nwith nflow.Client() as client:\n    client.workflows()\n")

    assert problem is not None
    assert "uses nflow as soon as it is read" in problem
    assert "if __name__ == '__main__'" in problem
