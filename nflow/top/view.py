"""The monitor's lists as columns and cells: what each line says, for the screen and for `--once` alike. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from nflow.engine.serving import Lack
from nflow.top.cells import STATE_STYLES, Cell, Column, Look, bar, sparkline
from nflow.top.model import Model, News
from nflow.top.queues import QueueLine
from nflow.top.runs import RunLine
from nflow.top.times import clock, lasted, size
from nflow.view.words import rest, style, told, where
from nflow.wire.subjects import event_place
from nflow.worker.heartbeat import BEAT, WorkerEntry

_BAR = 9
_WIDE, _WIDER = 100, 130

#: How news look, by how good or bad they are.
_NEWS_STYLES = {"started": "busy", "succeeded": "good", "failed": "bad", "stopped": "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A model at one moment, for one terminal."""

    model: Model
    now: float  #: by the server's clock
    look: Look = field(default_factory=Look)

    def runs(self) -> Sequence[Column[RunLine]]:
        """The columns of runs."""
        return (
            Column(title="STATE", width=11, cell=self._state),
            Column(title="RUN", width=16, cell=lambda line: Cell(line.run)),
            Column(title="WORKFLOW", width=8, grows=1, cell=lambda line: Cell(line.entry.workflow, "bold")),
            Column(title="PROGRESS", width=_BAR, cell=self._bar),
            Column(title="TASKS", width=9, is_right=True, cell=_tasks),
            Column(title="BUSY", width=4, is_right=True, cell=_running),
            Column(title="FAIL", width=4, is_right=True, cell=_failed),
            Column(title="TIME", width=8, is_right=True, cell=self._time),
            Column(title="AGE", width=7, is_right=True, cell=self._age, from_width=_WIDE),
            Column(title="WORKER", width=20, cell=lambda line: Cell(line.worker), from_width=_WIDER),
            Column(title="REMARK", width=14, grows=5, cell=self.remark, from_width=_WIDER),
        )

    def queues(self) -> Sequence[Column[QueueLine]]:
        """The columns of queues."""
        return (
            Column(title="QUEUE", width=12, grows=1, cell=lambda line: Cell(line.queue, _queue_style(line))),
            Column(
                title="WAITING", width=7, is_right=True, cell=lambda line: _number(line.waiting, _queue_style(line))
            ),
            Column(title="RUNNING", width=7, is_right=True, cell=lambda line: _number(line.in_hand)),
            Column(title="OLDEST", width=8, is_right=True, cell=self._oldest),
            Column(title="KINDS", width=22, cell=_kinds, from_width=_WIDE),
            Column(title="SERVED BY", width=30, grows=3, cell=served),
        )

    def workers(self) -> Sequence[Column[WorkerEntry]]:
        """The columns of workers."""
        return (
            Column(title="WORKER", width=14, grows=1, cell=lambda worker: Cell(worker.worker)),
            Column(title="HOST", width=10, cell=lambda worker: Cell(worker.host)),
            Column(title="BUSY", width=4, is_right=True, cell=_busy),
            Column(title="FREE", width=4, is_right=True, cell=lambda worker: Cell(str(worker.slots - worker.busy))),
            Column(title="LENT", width=4, is_right=True, cell=lambda worker: _number(worker.lent)),
            Column(title="DRIVES", width=6, is_right=True, cell=lambda worker: _number(worker.drives)),
            Column(title="CPU", width=5, is_right=True, cell=lambda worker: Cell(f"{worker.cpu:.0%}")),
            Column(title="MEM", width=5, is_right=True, cell=_memory),
            Column(title="VERSION", width=7, cell=lambda worker: Cell(worker.version)),
            Column(title="BEAT", width=5, is_right=True, cell=self._beat),
            Column(title="UP", width=8, is_right=True, cell=self._up, from_width=_WIDE),
            Column(title="PYTHON", width=6, cell=lambda worker: Cell(worker.python), from_width=_WIDE),
            Column(title="QUEUES", width=20, grows=1, cell=_serves, from_width=_WIDE),
        )

    def news(self) -> Sequence[Column[News]]:
        """The columns of what happened."""
        return (
            Column(title="TIME", width=8, cell=lambda news: Cell(clock(news.record.at), "dim")),
            Column(title="RUN", width=16, cell=lambda news: Cell(event_place(news.record.subject).run, "dim")),
            Column(title="EVENT", width=20, grows=1, cell=self._told),
        )

    def headline(self, width: int) -> list[list[Cell]]:
        """What is above all lists: whether the server is there, how many runs do what, how fast tasks end."""
        model, rate = self.model, self.model.pace.rate(self.now)
        first = [Cell("nflow  ", "bold"), *self._link()]
        for state in ("running", "stopping", "waiting", "failed", "stopped", "succeeded"):
            told = f"{model.runs.states[state]} {state}"
            if model.runs.states[state] and sum(len(cell.text) for cell in first) + len(told) <= width:
                first += [Cell(told, STATE_STYLES[state]), Cell("  ")]
        label = f"{rate:6.1f} tasks/s "
        seconds = max(min(width - len(label), 240), 0)
        graph = sparkline(model.pace.last(seconds, self.now), self.look.glyphs)
        return [first, [Cell(label, "bold" if rate else "dim"), Cell(graph, "busy")]]

    def remark(self, line: RunLine) -> Cell:
        """What a person should know of a run beside its numbers: what it waits for, why it ended."""
        entry = line.entry
        if entry.is_active and (queues := self._waits_for(line)):
            names = ", ".join(f"'{queue}'" for queue in queues)
            return Cell(f"waits for a worker on queue {names}", "bad")
        if entry.state == "failed" and line.failure is not None:
            failure = line.failure
            return Cell(f"{failure.dag}/{failure.event.task}: {failure.event.error.words}", "bad")
        return Cell(entry.reason, STATE_STYLES.get(entry.state, "") if entry.reason else "")

    def _waits_for(self, line: RunLine) -> tuple[str, ...]:
        queues = line.waits_for
        if line.entry.state == "waiting" and self.model.served.lack(line.entry.queue, None) is not None:
            queues = tuple(dict.fromkeys((line.entry.queue, *queues)))
        return queues

    def _told(self, news: News) -> Cell:
        words = told(news.event, news.record)
        line = self.model.runs.get(news.run)
        place = where(words) or words.workflow or (line.entry.workflow if line else "")
        return Cell(f"{place} {words.what}{rest(words)}", _NEWS_STYLES.get(style(words), ""))

    def _link(self) -> list[Cell]:
        link = self.model.link
        if link.is_up:
            count = len(self.model.workers)
            return [Cell(f"{count} worker{'' if count == 1 else 's'}", "" if count else "bad"), Cell("  ")]
        return [Cell(f" NO SERVER since {clock(link.since)}, waiting for it ", "alarm"), Cell("  ")]

    def _state(self, line: RunLine) -> Cell:
        state = line.entry.state
        return Cell(f"{self.look.glyphs.mark(state)} {state}", STATE_STYLES.get(state, ""))

    def _bar(self, line: RunLine) -> Cell:
        if line.entry.is_active and self._waits_for(line):
            return Cell("no worker", "bad")
        progress = line.now()
        if progress is None or not progress.total:
            return Cell("")
        return Cell(bar(progress.done, progress.total, _BAR, self.look.glyphs), STATE_STYLES.get(line.entry.state, ""))

    def _time(self, line: RunLine) -> Cell:
        entry = line.entry
        if entry.started is None:
            return Cell("")
        return Cell(lasted((entry.ended or max(self.now, entry.started)) - entry.started))

    def _age(self, line: RunLine) -> Cell:
        return Cell(lasted(self.now - line.entry.submitted), "dim")

    def _oldest(self, line: QueueLine) -> Cell:
        return Cell("" if line.oldest is None else lasted(self.now - line.oldest), _queue_style(line))

    def _beat(self, worker: WorkerEntry) -> Cell:
        silent = max(self.now - worker.seen, 0.0)
        return Cell(f"{silent:.0f}s", "bad" if silent > 2 * BEAT + 1 else "")

    def _up(self, worker: WorkerEntry) -> Cell:
        return Cell(lasted(self.now - worker.started))


def served(line: QueueLine) -> Cell:
    """Who serves a queue; if nobody does, what to do about it."""
    lack = line.lack
    if lack is not None:
        return Cell(f"nobody{_with(lack)}: start nflow worker -q {shlex.quote(line.queue)}", "bad")
    if not line.served_by:
        return Cell("nobody", "dim")
    count = len(line.served_by)
    return Cell(f"{count} worker{'' if count == 1 else 's'}: {', '.join(line.served_by)}")


def _with(lack: Lack) -> str:
    digits = lack.python.removeprefix("py")
    return f" with Python {digits[:1]}.{digits[1:]}" if lack.python else ""


def _tasks(line: RunLine) -> Cell:
    progress = line.now()
    return Cell("" if progress is None else f"{progress.done}/{progress.total}")


def _running(line: RunLine) -> Cell:
    progress = line.now()
    return _number(progress.running, "busy") if progress else Cell("")


def _failed(line: RunLine) -> Cell:
    progress = line.now()
    return _number(progress.failed, "bad") if progress else Cell("")


def _queue_style(line: QueueLine) -> str:
    return "bad" if line.lack is not None else ""


def _kinds(line: QueueLine) -> Cell:
    names = {"workflow": "run", "dag": "dag", "task": "task"}
    return Cell(
        ", ".join(f"{count} {names.get(kind, kind)}{'' if count == 1 else 's'}" for kind, count in line.kinds.items())
    )


def _busy(worker: WorkerEntry) -> Cell:
    return Cell(str(worker.busy), "busy" if worker.busy else "")


def _memory(worker: WorkerEntry) -> Cell:
    return Cell(size(worker.memory_bytes) if worker.memory_bytes else "")


def _serves(worker: WorkerEntry) -> Cell:
    return Cell(", ".join(worker.queues))


def _number(count: int, style: str = "") -> Cell:
    """A number that is nothing to look at while it is zero."""
    return Cell(str(count), style) if count else Cell("-", "dim")
