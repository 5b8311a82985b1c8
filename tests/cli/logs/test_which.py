"""Which tasks of a run a person means."""

import pytest

from nflow.cli.logs.which import selection
from nflow.engine.lines import Selection

TASKS = {"main": ["reduce", "reduce#2", "a/b"], "sub": ["reduce"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, Selection()),
        ("reduce", Selection(task="reduce")),
        ("reduce#2", Selection(task="reduce#2")),
        ("sub:2/reduce", Selection(dag="sub:2", task="reduce")),
        ("sub/reduce", Selection(dag="sub", task="reduce")),
        ("sub:2/", Selection(dag="sub:2")),
        ("a/b", Selection(task="a/b")),
        ("main:1/a/b", Selection(dag="main:1", task="a/b")),
    ],
)
def test_tasks_are_named_as_other_commands_name_them(text: str | None, wanted: Selection):
    assert selection(text, TASKS) == wanted


def test_of_a_run_that_has_not_begun_anything_may_be_meant():
    assert selection("anything", None) == Selection(task="anything")
