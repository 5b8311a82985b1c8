"""`nflow check`: all that is wrong with a file at once, without a server."""

import json
from pathlib import Path

import pytest

from nflow.cli.app import app
from nflow.cli.edge import guarded

EXAMPLES = Path(__file__).parents[3] / "examples"

HEAD = """
import threading
from nflow.models import BaseTask, Dag, Option, Parameters
from nflow.tasks import PythonTask

def work(data, store, signal, context):
    pass

"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, in which no server is started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NFLOW_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def check(here: Path, capsys):
    """Checks a file that begins with HEAD: its own first line is line 9. The exit code and what is said."""

    def check(text: str, *flags: str) -> tuple[int, str]:
        (here / "scan.py").write_text(HEAD + text)
        code = guarded(lambda: app(["check", "scan", *flags], prog_name="nflow", standalone_mode=False))
        assert not (here / "home").exists(), "something was started"
        return code, capsys.readouterr().out

    return check


@pytest.mark.parametrize("example", sorted(file.stem for file in EXAMPLES.glob("*.py")))
def test_the_examples_look_good(here: Path, capsys, example: str):
    code = guarded(lambda: app(["check", str(EXAMPLES / f"{example}.py")], prog_name="nflow", standalone_mode=False))

    assert code == 0
    assert capsys.readouterr().out.endswith("looks good.\n")


def test_a_good_file_is_summed_up(check):
    text = (
        "a, b = PythonTask('a', work), PythonTask('b', work)\n"
        "main = Dag('main', schema={a: b})\n"
        "p = Parameters([Option('data'), Option('limit', 0.5, type=float)])\n"
    )

    assert check(text) == (0, "scan.py: 1 dag, 2 tasks; parameters: data, limit; looks good.\n")
    assert json.loads(check(text, "--json")[1]) == {
        "file": "scan.py",
        "dags": 1,
        "tasks": 2,
        "parameters": ["data", "limit"],
        "problems": [],
        "warnings": [],
    }


def test_all_problems_are_told_at_once(check):
    why = "is a lock (cannot pickle '_thread.lock' object). Make it inside the task that uses it."

    code, out = check(
        "lock = threading.Lock()\n"
        "def locked(data, store, signal, context):\n"
        "    lock.acquire()\n"
        "class Held(BaseTask):\n"
        "    def __init__(self, name):\n"
        "        super().__init__(name)\n"
        "        self.lock = lock\n"
        "    def run(self, data, store, signal, context):\n"
        "        self.lock.acquire()\n"
        "a = PythonTask('a', work)\n"
        "main = Dag('main', schema={PythonTask('b', locked): Held('c')})\n"
        "ring = Dag('ring', schema={a: a})\n"
        "p = Parameters([Option('n', 'many', type=int)])\n"
    )

    assert code == 2
    assert out.splitlines() == [
        "problem: scan.py, line 20: Dag 'ring' has a cycle: a -> a. Remove one of these steps.",
        "problem: The default of parameter 'n': Cannot convert 'many' to int.",
        f"problem: scan.py, line 19: Task 'b' cannot be sent to another process: global 'lock' in locked() {why}",
        f"problem: scan.py, line 19: Task 'c' cannot be sent to another process: attribute 'lock' {why}",
        "scan.py: 2 dags, 2 tasks; parameters: n; 4 problems.",
    ]


def test_a_file_that_cannot_be_read_is_a_problem(check):
    code, out = check("zzz\n")

    assert code == 2
    assert out.startswith("problem: Cannot load scan.py, line 9: NameError: name 'zzz' is not defined.")
    assert out.endswith("\nscan.py: 1 problem.\n")


def test_a_file_that_is_not_there_is_told_as_everywhere(here: Path, capsys):
    code = guarded(lambda: app(["check", "zzz"], prog_name="nflow", standalone_mode=False))

    assert code == 2
    assert capsys.readouterr().err.startswith("nflow: No workflow 'zzz' in ")


def test_warnings_are_no_failure(check):
    code, out = check("main = Dag('main', schema={PythonTask('a'): PythonTask('a')})\n")

    assert code == 0
    assert out.startswith("warning: scan.py, line 9: Dag 'main' has 2 tasks named 'a'")
    assert out.endswith("scan.py: 1 dag, 2 tasks; looks good, 1 warning.\n")


def test_what_makes_the_code_of_a_task_heavy_is_named(check):
    _, out = check(
        "TABLE = b'x' * 2_000_000\n"
        "def look(data, store, signal, context):\n"
        "    data['x'] = TABLE[0]\n"
        "class Loaded(BaseTask):\n"
        "    def __init__(self, name):\n"
        "        super().__init__(name)\n"
        "        self.image = b'y' * 3_000_000\n"
        "    def run(self, data, store, signal, context):\n"
        "        data['y'] = self.image[0]\n"
        "main = Dag('main', schema={PythonTask('a', look): [PythonTask('b', look), Loaded('c')]})\n"
    )

    first, second, _ = out.splitlines()
    assert first.startswith(
        "warning: scan.py, line 18: The code of task 'a' has 2.0 MB: global 'TABLE' in look() alone has 2.0 MB."
    )
    assert second.startswith(
        "warning: scan.py, line 18: The code of task 'c' has 3.0 MB: attribute 'image' alone has 3.0 MB."
    )


def test_modules_beside_the_file_that_tasks_need_are_named(check, here: Path, monkeypatch):
    for name in ("needed_at_once", "needed_later", "needed_by_nobody", "not_imported"):
        (here / f"check_{name}.py").write_text("VALUE = 1\ndef value():\n    return 1\n")
    text = (
        "import check_needed_at_once as first\n"
        "from check_needed_by_nobody import VALUE\n"
        "def look(data, store, signal, context):\n"
        "    from check_needed_later import value\n"
        "    data['x'] = first.value() + value() + VALUE\n"
        "main = Dag('main', schema={PythonTask('a', look): None})\n"
    )

    _, out = check(text)

    lines = out.splitlines()[:-1]
    assert [line.split("'")[1] for line in lines] == ["check_needed_at_once", "check_needed_later"]
    assert f"Workers find it only where {here} is there under the same path" in lines[0]


def test_what_a_file_and_its_classes_print_is_no_output_of_the_check(check):
    _, out = check(
        "print('[]')\n"
        "class Loud(BaseTask):\n"
        "    def __getstate__(self):\n"
        "        print('[]')\n"
        "        return {}\n"
        "main = Dag('main', schema={Loud('a'): None})\n",
        "--json",
    )

    assert json.loads(out)["tasks"] == 1


def test_a_large_workflow_is_checked_with_its_code_packed_once(check):
    code, out = check("main = Dag('main', schema={PythonTask(f't{n}', work): None for n in range(5000)})\n")

    assert (code, out) == (0, "scan.py: 1 dag, 5000 tasks; looks good.\n")
