"""Screens as text: what a person would see, kept in files to be looked at and compared with."""

import os
from pathlib import Path

from textual.app import App

SCREENS = Path(__file__).with_name("screens")


def shown(app: App[None]) -> str:
    """What is on the screen, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def styled(app: App[None], text: str) -> set[str]:
    """How the pieces look in which `text` is."""
    strips = app.screen._compositor.render_strips()
    return {str(segment.style) for strip in strips for segment in strip if text in segment.text}


def assert_kept(name: str, text: str) -> None:
    """The screen is as it was kept; `RENEW_SCREENS=1` keeps it as it is now."""
    file = SCREENS / f"{name}.txt"
    if os.environ.get("RENEW_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()
