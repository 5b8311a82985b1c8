"""What each command says of a run, in the same words: another view is one more line in `VIEWS`."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from typer.testing import CliRunner

from nflow.bus.port import Record
from nflow.cli.app import app
from nflow.config import load
from nflow.core.events import Event
from nflow.core.ids import RunId
from nflow.runs import Following
from nflow.session import open_engine
from nflow.view.detail import RunDetail, retries_of
from tests.cli.program import Program

_ENDS = ("succeeded", "failed", "skipped", "cancelled")


@dataclass(frozen=True)
class Seen:
    """How far a run is, and how many of its tasks have ended in which way."""

    state: str | None
    ended: Mapping[str, int] | None  #: None, like a state of None, where nothing is told of it


#: What a word about a run says of its state.
_STATES = {
    "started": "running",
    "retried": "running",
    "stop asked for": "stopping",
    "succeeded": "succeeded",
    "failed": "failed",
    "stopped": "stopped",
}


def _seen(state: str | None, tasks: Mapping[str, int] | None = None) -> Seen:
    return Seen(state, None if tasks is None else {end: tasks[end] for end in _ENDS if tasks.get(end)})


def in_status(run: str, out: str) -> Seen:
    [entry] = json.loads(out)
    return _seen(entry["state"], entry["tasks"])


def in_list(run: str, out: str) -> Seen:
    [entry] = [entry for entry in json.loads(out) if entry["run"] == run]
    return _seen(entry["state"])  # of its tasks nothing is told


def in_runs(run: str, out: str) -> Seen:
    [line] = [line for line in json.loads(out) if line["run"] == run]
    return _seen(line["state"], line["tasks"])


def in_show(run: str, out: str) -> Seen:
    told = json.loads(out)
    return _seen(told["state"], told["tasks"])


def in_top(run: str, out: str) -> Seen:
    [line] = [line for line in json.loads(out)["runs"] if line["run"] == run]
    return _seen(line["state"], line["tasks"] and line["tasks"]["ended"])  # of one that waits, its log is not read


def in_table_of_runs(run: str, out: str) -> Seen | None:
    rows = [row for row in map(json.loads, out.splitlines()) if row["run"] == run]
    return _seen(rows[0]["state"]) if rows else None


def in_table_of_tasks(run: str, out: str) -> Seen:
    rows = [row for row in map(json.loads, out.splitlines()) if row["run"] == run]
    return _seen(None, Counter(row["state"] for row in rows))


def in_events(run: str, out: str) -> Seen | None:
    """What a person makes of the lines that tell what happened: the last word on the run, and on each task."""
    told = [json.loads(line) for line in out.splitlines()]
    words = [event["what"] for event in told if event["kind"] == "run" and event["what"] in _STATES]
    tasks = {(event["dag"], event["task"]): event["what"] for event in told if event["kind"] == "task"}
    return _seen(_STATES[words[-1]], Counter(tasks.values())) if words else None


@dataclass(frozen=True)
class View:
    """A command, and how to read what it says. One that knows the log alone tells nothing of a run that waits."""

    command: str  #: `RUN` stands for the run
    read: Callable[[str, str], Seen | None]
    knows_queues: bool = True


VIEWS = [
    View("status RUN --json", in_status),
    View("status --all --json", in_list),
    View("runs --json", in_runs),
    View("show RUN --json", in_show),
    View("top --once --json", in_top),
    View("events RUN --json", in_events, knows_queues=False),
    View("history export --table runs --format jsonl", in_table_of_runs, knows_queues=False),
    View("history export --table tasks --format jsonl", in_table_of_tasks, knows_queues=False),
]


def seen(nflow: Program, run: str) -> Seen:
    """What all of them say, and the log itself, who must not differ."""
    told = [(view, view.read(run, _said(nflow, view.command.replace("RUN", run).split()))) for view in VIEWS]
    first = told[0][1]
    assert first is not None
    for view, said in [*told, (View("the log", in_show, knows_queues=False), asyncio.run(_in_events(nflow, run)))]:
        if said is not None:
            is_told = said.state is not None and (view.knows_queues or first.state != "waiting")
            assert not is_told or said.state == first.state, (view.command, said, told)
            assert said.ended is None or said.ended == first.ended, (view.command, said, told)
    return first


def _said(nflow: Program, arguments: list[str]) -> str:
    """What a command says; in this process, for there are some eighty, and each would take a second in its own."""
    result = CliRunner().invoke(app, arguments, env={"NFLOW_HOME": str(nflow.home)})
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.stdout


async def _in_events(nflow: Program, run: str) -> Seen:
    """As whoever follows its events would make it out."""
    detail = RunDetail(run=RunId(run))
    events: list[tuple[Event, Record]] = []
    async with open_engine(load({"home": nflow.home})) as engine:
        subject = engine.subjects.run_events(RunId(run))
        async with Following(engine, subject, lambda event, record: events.append((event, record))):
            for event, record in events:
                detail.take(event, record)
                if detail.spec and not detail.retries:
                    detail.retries = retries_of(await engine.specs.get(detail.spec))
    return _seen(detail.state, detail.counts)
