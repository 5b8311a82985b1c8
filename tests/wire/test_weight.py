"""What makes something heavy is found by the way that leads to it."""

from nflow.wire.weight import heaviest

TABLE = bytes(range(256)) * 8192


def look(data):
    return TABLE[data]


look.__module__ = "a_workflow_that_is_no_module"  # so that it travels by value


def light(data):
    return data


def test_the_variable_of_a_function_is_named():
    way, size = heaviest((object, {"callback": look, "name": "x"}))

    assert way == "global 'TABLE' in look()"
    assert len(TABLE) < size < len(TABLE) + 100


def test_the_way_leads_on_as_long_as_one_part_outweighs_the_others():
    way, size = heaviest({"settings": {"first": b"x" * 10_000, "second": b"y" * 90_000}, "name": "x"})

    assert way == "['settings']['second']"
    assert 90_000 < size < 90_100


def test_where_all_parts_weigh_the_same_none_is_named():
    assert heaviest([bytes([number]) * 1000 for number in range(10)])[0] == ""


def test_what_cannot_be_sent_by_itself_is_passed_over():
    class Own:
        def __init__(self):
            self.lock = __import__("threading").Lock()
            self.values = b"x" * 100_000

        def __reduce__(self):
            return bytes, (self.values,)

    assert heaviest(Own())[0] == ".values"
