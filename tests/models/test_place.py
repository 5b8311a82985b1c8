"""Where dags and tasks were made: known of every kind of subclass, and no part of what travels."""

import copy
import pickle
import time
from inspect import currentframe
from pathlib import Path

import cloudpickle
import pytest

from nflow.models import BaseTask, Dag
from nflow.models.place import NOWHERE, place_of
from nflow.tasks import PythonTask


def work(data, store, signal, context):
    pass


def this_line():
    return currentframe().f_back.f_lineno


class Plain(BaseTask):
    pass


class Deep(PythonTask):
    def __init__(self, name):
        self.before = True
        super().__init__(name, work)


class Rude(BaseTask):
    """Does not call the `__init__` of its parent."""

    def __init__(self, name):
        self.name = name


class Slim(BaseTask):
    __slots__ = ("limit",)


class Frozen(BaseTask):
    def __setattr__(self, name, value):
        raise AttributeError(name)

    def __init__(self, name):
        pass


class Made(BaseTask):
    def __new__(cls, name):
        return super().__new__(cls)


class Table(BaseTask, dict):
    def __init__(self, name):
        super().__init__(name)


@pytest.mark.parametrize("kind", [Plain, PythonTask, Deep, Rude, Slim, Frozen, Made, Table, Dag])
def test_it_knows_the_line_that_made_it(kind):
    thing, line = kind("x"), this_line()

    assert (place_of(thing).file, place_of(thing).line) == (__file__, line)
    assert str(place_of(thing)) == f"test_place.py, line {line}"


def test_a_task_that_another_one_makes_is_of_the_line_there():
    class Pair(BaseTask):
        def __init__(self, name):
            super().__init__(name)
            self.other, self.line = PythonTask("other"), this_line()

    pair = Pair("pair")

    assert place_of(pair.other).line == pair.line


def test_a_dag_knows_the_line_that_gave_it_its_schema():
    dag, made = Dag("main"), this_line()
    undefined = dag.defined
    dag.define({PythonTask("x"): None})
    defined = this_line() - 1

    assert (undefined.line, dag.defined.line, place_of(dag).line) == (made, defined, made)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_of_the_same_place(copied):
    task = PythonTask("x", work)

    assert place_of(copied(task)) == place_of(task)


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_a_place_does_not_travel(dumps):
    one = PythonTask("x", work)
    two = PythonTask("x", work)

    assert dumps(one) == dumps(two)
    assert Path(__file__).name.encode() not in dumps(one)
    assert place_of(pickle.loads(dumps(one))) == NOWHERE


def test_a_place_is_no_part_of_what_is_shipped():
    class Own(BaseTask):
        def __getstate__(self):
            return self.__dict__.copy()

    assert Own("x").shipped()[1] == {"callback_init": None, "callback_finally": None}


def test_what_is_not_known_is_not_told():
    assert NOWHERE.before("It is wrong.") == "It is wrong."
    assert (NOWHERE.line, NOWHERE.file) == (0, "")


def test_to_note_the_places_of_a_large_graph_costs_little():
    def seconds(count):
        start = time.process_time()
        for _ in range(count):
            PythonTask("x", work)
        return time.process_time() - start

    assert min(seconds(10_000) for _ in range(5)) < 0.1  # it is 0.02 on an idle machine
