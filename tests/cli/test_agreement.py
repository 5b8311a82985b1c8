"""Whatever a person asks, the answer about a run is the same, at every step of its life."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from nflow.config import load
from nflow.core.events import TaskCancelled
from nflow.core.ids import RunId
from nflow.runs import Following, Runs
from nflow.session import open_engine
from tests.cli.program import Program, Running
from tests.cli.views import Seen, seen


class Steps:
    """A run of `steps`, which goes from one step to the next when it is let."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gates: list[IO[str]] = []
        os.mkfifo(folder / "told")
        for number in range(1, 5):
            self._gates.append((folder / f"gate{number}").open("w"))
            fcntl.flock(self._gates[-1], fcntl.LOCK_EX)

    def held(self) -> str:
        """Which task is held up in which step, once one is."""
        return (self.folder / "told").read_text()

    def let(self, number: int) -> None:
        """Let the task of that step go on."""
        self._gates[number - 1].close()

    def close(self) -> None:
        for gate in self._gates:
            gate.close()


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    steps = Steps(tmp_path)
    yield steps
    steps.close()


def end(nflow: Program, run: str, opening: int = 0) -> None:
    """Return when the run has ended."""

    async def wait() -> None:
        async with open_engine(load({"home": nflow.home})) as engine, asyncio.timeout(30):
            await Runs(engine).wait(RunId(run), opening=opening)

    asyncio.run(wait())


def cancellation(nflow: Program, run: str) -> None:
    """Return when the driver has cancelled a task, as it does with all that have not begun when it is to stop."""

    async def wait() -> None:
        news = asyncio.Event()
        async with open_engine(load({"home": nflow.home})) as engine, asyncio.timeout(30):
            subject = engine.subjects.run_events(RunId(run))
            async with Following(engine, subject, lambda event, _: isinstance(event, TaskCancelled) and news.set()):
                await news.wait()

    asyncio.run(wait())


def worker(nflow: Program) -> Running:
    return nflow.start("worker", "--slots", "1")


@pytest.mark.timeout(300)  # seventy commands, on however busy a machine
def test_all_views_agree_at_every_step_of_a_run_that_fails_is_stopped_and_retried(nflow: Program, steps: Steps):
    run = nflow("start", "steps", f"folder={steps.folder}").out.strip()
    story = [("submitted", seen(nflow, run))]
    working = worker(nflow)
    story.append((steps.held(), seen(nflow, run)))
    steps.let(1)
    story.append((steps.held(), seen(nflow, run)))
    nflow("stop", run, "--grace", "600")
    cancellation(nflow, run)
    story.append(("asked to stop", seen(nflow, run)))
    steps.let(2)
    end(nflow, run)
    story.append(("stopped", seen(nflow, run)))
    working.press_ctrl_c().done()
    nflow("retry", run, "--no-follow")
    story.append(("retried", seen(nflow, run)))
    working = worker(nflow)
    story.append((steps.held(), seen(nflow, run)))
    steps.let(3)
    end(nflow, run, opening=1)
    story.append(("failed", seen(nflow, run)))
    nflow("retry", run, "--no-follow")
    story.append((steps.held(), seen(nflow, run)))
    steps.let(4)
    end(nflow, run, opening=2)
    story.append(("done", seen(nflow, run)))
    working.press_ctrl_c().done()

    assert story == [
        ("submitted", Seen("waiting", {})),
        ("first 1", Seen("running", {})),
        ("first 2", Seen("running", {})),
        ("asked to stop", Seen("stopping", {"cancelled": 1})),
        ("stopped", Seen("stopped", {"succeeded": 1, "cancelled": 1})),
        ("retried", Seen("waiting", {"succeeded": 1, "cancelled": 1})),
        ("second 3", Seen("running", {"succeeded": 1})),
        ("failed", Seen("failed", {"succeeded": 1, "failed": 1})),
        ("second 4", Seen("running", {"succeeded": 1})),
        ("done", Seen("succeeded", {"succeeded": 2})),
    ]


def test_a_stop_that_nobody_has_taken_in_yet_is_seen_everywhere(nflow: Program):
    run = nflow("start", "two", "-q", "nobody").out.strip()

    nflow("stop", run)

    assert seen(nflow, run).state == "stopping"
