"""What people put where a task should be, and what they should write instead."""

from collections.abc import Iterator

from nflow.models.task import BaseTask

_LONG = 80

_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "Write the task itself, not its name: the variable, without quotes."),
    ((list, tuple), "Write one flat list of tasks."),
    ((set, frozenset), "Give a task, a list of tasks, or a dict of task -> slot: a set has no order."),
    (Iterator, "Make it a list first."),
    (type(None), "Is a variable empty that should hold a task?"),
)


def shown(wrong: object) -> str:
    """A short account of what was found."""
    if isinstance(wrong, type):
        return f"the class {wrong.__name__}"
    if callable(wrong) and hasattr(wrong, "__name__"):
        return f"the function {wrong.__name__}()"
    text = repr(wrong)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def advice(wrong: object) -> str:
    """What to write instead; empty where nobody knows."""
    if isinstance(wrong, type) and issubclass(wrong, BaseTask):
        return f"Make a task of the class: {wrong.__name__}('name')."
    if callable(wrong) and hasattr(wrong, "__name__") and not isinstance(wrong, type):
        return f"Make a task of it: PythonTask('{wrong.__name__}', {wrong.__name__})."
    return next((text for kinds, text in _ADVICE if isinstance(wrong, kinds)), "")
