"""What a workflow can be told, and how it answers to wrong arguments: all of them at once."""

import math

import pytest

from nflow.errors import WorkflowArgumentError
from nflow.models import Option, Parameters


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
        (list, "abc", "abc"),
        (dict, None, None),
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
    ],
)
def test_a_value_that_cannot_be_converted_is_refused(kind, given):
    with pytest.raises(WorkflowArgumentError, match=f"Cannot convert .* to {kind.__name__}"):
        Option("x", type=kind).convert(given)


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
    with pytest.raises(WorkflowArgumentError, match="'count': Cannot convert 'few' to int"):
        Parameters([Option("count", default="few", type=int)]).resolve({})


def test_of_two_options_with_one_name_the_later_one_counts():
    parameters = Parameters([Option("count"), Option("count", default="4", type=int)])

    assert parameters.resolve({}) == {"count": 4}
