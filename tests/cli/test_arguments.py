"""`key=value` on the command line."""

import pytest

from nflow.cli.arguments import load_settings, parse_arguments
from nflow.errors import ConfigError, UsageError


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (None, {}),
        (["iterations=5"], {"iterations": "5"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (["filter=x=1"], {"filter": "x=1"}),
        (["empty="], {"empty": ""}),
        (["name=größe 日本"], {"name": "größe 日本"}),
    ],
)
def test_arguments_are_keys_and_values(given, values):
    assert parse_arguments(given) == values


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (["iterations"], "'iterations' is no parameter. Write it as KEY=VALUE"),
        (["=5"], "'=5' is no parameter"),
        (["a=1", "a=2"], "'a' is given twice: a=1 and a=2"),
    ],
)
def test_what_is_no_argument_is_refused_with_advice(given, advice):
    with pytest.raises(UsageError, match=advice):
        parse_arguments(given)


def test_a_flag_that_is_out_of_range_is_called_as_it_was_typed():
    with pytest.raises(ConfigError, match=r"^--deadline: .* write 'never'"):
        load_settings(policy__deadline="0")
