"""Modules beside a workflow file: found as beside any script, and not mistaken for those of another."""

import sys
from importlib.util import find_spec

import pytest

from nflow.models.neighbours import Neighbours
from nflow.models.workflow import load

FLOW = """
import helpers
from nflow.models import Dag
from nflow.tasks import PythonTask
dag = Dag(helpers.WHO, schema={PythonTask("a"): None})
"""


@pytest.fixture(autouse=True)
def _as_before():
    modules, path, finders = dict(sys.modules), sys.path[:], sys.meta_path[:]
    yield
    sys.path[:], sys.meta_path[:] = path, finders
    for name in [name for name in sys.modules if name not in modules]:
        del sys.modules[name]


def folder(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "helpers.py").write_text(f"WHO = {name!r}")
    (tmp_path / name / "flow.py").write_text(FLOW)
    return tmp_path / name


def test_each_file_gets_its_own_neighbours(tmp_path):
    one, two = folder(tmp_path, "one"), folder(tmp_path, "two")

    assert [list(load(each / "flow.py").dags) for each in (one, two, one)] == [["one"], ["two"], ["one"]]


def test_a_neighbour_that_was_edited_is_read_again(tmp_path):
    here = folder(tmp_path, "one")
    load(here / "flow.py")

    (here / "helpers.py").write_text("WHO = 'somebody else'")

    assert list(load(here / "flow.py").dags) == ["somebody else"]


def test_what_is_searched_for_is_as_before_afterwards(tmp_path):
    here = folder(tmp_path, "one")
    sys.path.append(str(here))
    before = sys.path[:], sys.meta_path[:]

    load(here / "flow.py")

    assert (sys.path, sys.meta_path) == before


def test_a_module_that_somebody_else_imported_stays(tmp_path):
    here = folder(tmp_path, "one")
    load(here / "flow.py")
    sys.modules["helpers"] = mine = type(sys)("helpers")
    mine.WHO = "mine"

    load(folder(tmp_path, "two") / "flow.py")

    assert sys.modules["helpers"] is mine


def test_two_folders_at_once_do_not_look_for_each_other_for_ever(tmp_path):
    met = [Neighbours(folder(tmp_path, name), "flow").welcome() for name in ("one", "two")]

    assert find_spec("flow") is not None  # each finds the other's

    for each in met:
        each.dismiss()


def test_python_s_own_modules_come_first(tmp_path):
    here = folder(tmp_path, "one")
    (here / "colorsys.py").write_text("raise RuntimeError")
    sys.modules.pop("colorsys", None)
    met = Neighbours(here, "flow").welcome()

    assert hasattr(__import__("colorsys"), "rgb_to_hls")

    met.dismiss()
