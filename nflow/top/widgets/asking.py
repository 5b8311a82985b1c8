"""What covers the screen for a moment: a question, or help."""

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static


class Question(ModalScreen[str]):
    """Asks something that one key answers. The answer is what the key stands for; empty: leave it be."""

    DEFAULT_CSS = """
    Question { align: center middle; }
    Question > Static { width: auto; max-width: 78; height: auto; border: ascii; padding: 0 1; }
    """

    # for a key that was typed before the question was there: it went to the screen below, but is bound here by now
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"answer({key!r})", show=False) for key in ("y", "n", "enter", "escape")
    ]

    def __init__(self, text: str, answers: Mapping[str, str]) -> None:
        """Ask.

        Args:
            text: The question, with the keys that answer it.
            answers: What each key stands for.
        """
        super().__init__()
        self._text = text
        self._answers = answers

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(self._text, markup=False)

    def on_key(self, event: Key) -> None:
        """Any other key is a no: nobody should stop a run by mistake."""
        event.stop()
        self.action_answer(event.key)

    def action_answer(self, key: str) -> None:
        """The answer that this key stands for."""
        self.dismiss(self._answers.get(key, ""))


class Help(ModalScreen[None]):
    """Tells the keys."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > Static { width: auto; height: auto; max-height: 100%; border: ascii; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter,space", "dismiss", show=False)]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """See textual."""
        yield Static(self._text, markup=False)
