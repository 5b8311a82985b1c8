"""What a workflow can be told, and how it answers to wrong arguments: all of them at once."""

import math
from datetime import date, datetime
from enum import Enum
from fractions import Fraction
from pathlib import Path

import pytest

from nflow.errors import WorkflowArgumentError, WorkflowDefinitionError
from nflow.models import Option, Parameters


class Shape(Enum):
    ROUND = "round"
    SQUARE = "square"


class Level(Enum):
    LOW = 1
    HIGH = 2


def even(text):
    if int(text) % 2:
        raise ValueError(f"{text} is odd")
    return int(text)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (str, 5, "5"),
        (str, None, "None"),
        (int, " 7 ", 7),
        (int, True, 1),
        (float, "1e3", 1000.0),
        (bool, True, True),
        (bool, "Yes", True),
        (bool, "y", True),
        (bool, "1", True),
        (bool, "TRUE", True),
        (bool, "no", False),
        (bool, "N", False),
        (bool, "0", False),
        (bool, "False", False),
        (list, "a, b", ["a", "b"]),
        (list, "", []),
        (list, [1, None], [1, None]),
        (list[int], "1,2", [1, 2]),
        (list[int], ["1", 2.0], [1, 2]),
        (list[Path], '["a,b.dat"]', [Path("a,b.dat")]),
        (list[Shape], "round,SQUARE", [Shape.ROUND, Shape.SQUARE]),
        (dict, '{"a": 1}', {"a": 1}),
        (dict, {"a": 1}, {"a": 1}),
        (Path, "a/b", Path("a/b")),
        (Shape, "ROUND", Shape.ROUND),
        (Shape, "square", Shape.SQUARE),
        (Shape, Shape.ROUND, Shape.ROUND),
        (Level, "2", Level.HIGH),
        (datetime, "2026-11-21T08:30:00+01:00", datetime.fromisoformat("2026-11-21T08:30:00+01:00")),
        (date, "2026-11-21", date(2026, 11, 21)),
        (Fraction, "2/6", Fraction(1, 3)),
        (even, "4", 4),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_option(kind, given, value):
    converted = Option("x", type=kind).convert(given)

    assert converted == value
    assert type(converted) is type(value)


def test_not_a_number_is_a_float():
    assert math.isnan(Option("x", type=float).convert("nan"))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (int, "1.5"),
        (int, "many"),
        (int, None),
        (int, [1]),
        (int, math.inf),
        (float, "1,5"),
        (bool, "maybe"),
        (bool, " true"),
        (bool, 1),
        (date, "tomorrow"),
        (dict, "a=1"),
        (dict, "[1]"),
        (Path, 5),
        (Fraction, "1/0"),
    ],
)
def test_a_value_that_cannot_be_converted_is_refused(kind, given):
    with pytest.raises(WorkflowArgumentError, match=f"Cannot convert .* to {kind.__name__}"):
        Option("x", type=kind).convert(given)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (list[int], "1,x", "Cannot convert '1,x' to list[int]"),
        (list[int], 5, "Cannot convert 5 to list[int]"),
        (list[int], "[1,", "Cannot convert '[1,' to list[int]"),
        (Shape, "flat", "Cannot convert 'flat' to one of ROUND, SQUARE."),
        (even, "3", "Cannot convert '3' to even: 3 is odd."),
    ],
)
def test_a_refusal_says_what_could_be_given(kind, given, words):
    with pytest.raises(WorkflowArgumentError) as refusal:
        Option("x", type=kind).convert(given)

    assert words in str(refusal.value)


def test_an_option_without_a_name_or_with_a_type_that_converts_nothing_is_refused():
    with pytest.raises(WorkflowDefinitionError, match="An Option needs a name"):
        Option("")
    with pytest.raises(WorkflowDefinitionError, match="type of Option 'x' is 'int'"):
        Option("x", type="int")


def test_an_option_may_be_left_out_though_it_has_no_default():
    parameters = Parameters([Option("note", required=False), Option("count", default=1, required=True, type=int)])

    assert parameters.check_missing({}) == ["count"]
    assert parameters.resolve({"count": "2"}) == {"count": 2}
    with pytest.raises(WorkflowArgumentError, match="'count' is missing"):
        parameters.resolve({"note": "x"})


def test_a_workflow_may_take_arguments_that_it_does_not_name():
    parameters = Parameters([Option("count", type=int)], extra=True)

    assert parameters.resolve({"count": "2", "sample": "B7"}) == {"count": 2, "sample": "B7"}


def test_an_option_without_a_default_must_be_given():
    parameters = Parameters([Option("file"), Option("count", default=0), Option("note", default="")])

    assert parameters.check_missing({}) == ["file"]
    assert parameters.check_missing({"file": "x"}) == []


def test_consolidating_converts_fills_in_and_keeps_the_unknown():
    parameters = Parameters([Option("count", default="3", type=int), Option("scale", default=1, type=float)])

    assert parameters.consolidate({"scale": "2", "extra": "x"}) == {"count": 3, "scale": 2.0, "extra": "x"}


def test_resolving_gives_every_parameter_its_value():
    parameters = Parameters(
        [Option("file"), Option("count", default=3, type=int), Option("dry", default=False, type=bool)]
    )

    assert parameters.resolve({"file": "a.dat", "count": "5"}) == {"file": "a.dat", "count": 5, "dry": False}


def test_resolving_lists_all_that_is_wrong():
    parameters = Parameters([Option("file", help="what to read"), Option("count", default=3, type=int)])

    with pytest.raises(WorkflowArgumentError) as refusal:
        parameters.resolve({"count": "many", "fiel": "a.dat"})

    assert str(refusal.value).splitlines() == [
        "No parameter 'fiel'. Did you mean 'file'?",
        "Parameter 'file' (what to read) is missing. Add file=VALUE, of type str.",
        "Parameter 'count': Cannot convert 'many' to int.",
    ]


def test_an_unknown_parameter_is_told_which_there_are():
    with pytest.raises(WorkflowArgumentError, match="There are: file, count"):
        Parameters([Option("file", default=""), Option("count", default=1)]).resolve({"zzz": "1"})

    with pytest.raises(WorkflowArgumentError, match="takes none"):
        Parameters().resolve({"zzz": "1"})


def test_an_argument_that_is_none_counts_as_not_given():
    parameters = Parameters([Option("file"), Option("count", default=3, type=int)])

    with pytest.raises(WorkflowArgumentError, match="'file' is missing"):
        parameters.resolve({"file": None})
    assert parameters.resolve({"file": "x", "count": None})["count"] == 3


def test_a_default_that_does_not_fit_its_type_is_found_before_the_start():
    with pytest.raises(
        WorkflowArgumentError,
        match=r"'count': its default in the workflow file is at fault\. Cannot convert 'few' to int",
    ):
        Parameters([Option("count", default="few", type=int)]).resolve({})


def test_of_two_options_with_one_name_the_later_one_counts():
    parameters = Parameters([Option("count"), Option("count", default="4", type=int)])

    assert parameters.resolve({}) == {"count": 4}


# --- names, lists and defaults that cannot be ---


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a..b", "has an empty part"),
        (".a", "has an empty part"),
        (".".join("x" * 21), "is too long: it has 21 parts"),
        ("x" * 4097, "is too long: it has 1 parts and 4097 characters"),
    ],
)
def test_a_name_that_is_no_key_of_the_store_is_refused(name, fault):
    with pytest.raises(WorkflowDefinitionError, match=f"of an Option, its key in the store, {fault}") as refusal:
        Option(name)
    with pytest.raises(WorkflowArgumentError, match=f"of a parameter, its key in the store, {fault}"):
        Parameters(extra=True).resolve({name: "x"})

    assert len(str(refusal.value)) < 300


def test_a_name_that_reaches_into_another_is_refused():
    with pytest.raises(WorkflowDefinitionError, match=r"Parameters 'a' and 'a.b.c' cannot both be"):
        Parameters([Option("a.b.c"), Option("ab"), Option("a")])
    with pytest.raises(WorkflowArgumentError, match=r"Parameters 'a' and 'a.b' cannot both be"):
        Parameters([Option("a", 1)], extra=True).resolve({"a.b": "x"})


def test_names_may_have_a_beginning_in_common():
    parameters = Parameters([Option("a.b", 1, type=int), Option("a.c", 2, type=int), Option("ab", 3, type=int)])

    assert parameters.resolve({}) == {"a.b": 1, "a.c": 2, "ab": 3}


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (["sample"], r"takes Options, not 'sample'\. Write Parameters\(\[Option\('sample'\)\]\)"),
        ("sample", r"takes a list, not 'sample'\. Write Parameters\(\[Option\('sample'\)\]\)"),
        (Option("sample"), r"takes a list, not Option.* Write Parameters\(\[Option\('sample'\)\]\)"),
        ([5], r"takes Options, not 5\. Write Parameters\(\[Option\('name'\)\]\)"),
        (5, r"takes a list, not 5\. Write Parameters\(\[Option\('name'\)\]\)"),
    ],
)
def test_what_is_no_list_of_options_is_refused(given, advice):
    with pytest.raises(WorkflowDefinitionError, match=advice):
        Parameters(given)


def test_a_type_without_a_name_is_told_by_its_line():
    option = Option("n", type=lambda text: 1 / 0)
    line = option.type.__code__.co_firstlineno

    with pytest.raises(WorkflowArgumentError) as missing:
        Parameters([option]).resolve({})
    with pytest.raises(WorkflowArgumentError) as wrong:
        Parameters([option]).resolve({"n": "5"})

    place = f"the function in test_parameters.py, line {line}"
    assert str(missing.value) == f"Parameter 'n' is missing. Add n=VALUE, of a type that {place} converts."
    assert str(wrong.value) == f"Parameter 'n': Cannot convert '5' with {place}: division by zero."
