"""What a campaign came to: as a table for people, as JSON for programs."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.account import Takeover, Verdict
from tests.chaos.campaign import Part
from tests.chaos.faults import union

#: Broken guarantees that are shown in full.
_SHOWN = 40


def as_fields(parts: Sequence[Part], seed: int) -> dict[str, Any]:
    """Everything in plain values."""
    verdicts: Counter[Verdict] = sum((part.verdicts for part in parts), Counter())
    repeated: Counter[str] = sum((part.repeated for part in parts), Counter())
    takeovers = [takeover for part in parts for takeover in part.takeovers]
    return {
        "seed": seed,
        "stores": [part.store for part in parts],
        "seconds": round(sum(part.seconds for part in parts), 1),
        "calm": [round(part.calm, 1) for part in parts],
        "submitted": sum(part.submitted for part in parts),
        "untold": sum(part.untold for part in parts),
        "refused": sum(part.refused for part in parts),
        "runs": {verdict.value: verdicts[verdict] for verdict in Verdict},
        "faults": union(part.faults for part in parts).counts(),
        "repeated executions": dict(repeated),
        "takeovers": {
            "of runs, nothing else wrong": _figures(takeovers, of_task=False, is_alone=True),
            "of tasks, nothing else wrong": _figures(takeovers, of_task=True, is_alone=True),
            "of runs, in the storm": _figures(takeovers, of_task=False, is_alone=False),
            "of tasks, in the storm": _figures(takeovers, of_task=True, is_alone=False),
        },
        "errors in logs": [each for part in parts for each in part.errors],
        "late": [each for part in parts for each in part.late],
        "left": [each for part in parts for each in part.left],
        "broken": [each for part in parts for each in part.broken],
    }


def show(fields: dict[str, Any], console: Console) -> None:
    """The table."""
    table = Table(title=f"{fields['seconds']:.0f} s of chaos, seed {fields['seed']}", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    _section(table, {"runs submitted": fields["submitted"], "runs begun by commands that failed": fields["untold"]})
    _section(table, fields["runs"])
    _section(table, fields["faults"])
    _section(table, {f"executed again: {why}": count for why, count in sorted(fields["repeated executions"].items())})
    _section(table, {f"takeover {what}": _told(figures) for what, figures in fields["takeovers"].items()})
    _section(table, {what: len(fields[what]) for what in ("errors in logs", "late", "left", "broken")})
    console.print(table)
    for each in fields["broken"][:_SHOWN]:
        console.print(f"broken: {each}", markup=False, highlight=False)
    if len(fields["broken"]) > _SHOWN:
        console.print(f"... and {len(fields['broken']) - _SHOWN} more")


def _section(table: Table, rows: dict[str, object]) -> None:
    for what, value in rows.items():
        table.add_row(str(what), str(value))
    table.add_section()


def _figures(takeovers: Sequence[Takeover], *, of_task: bool, is_alone: bool) -> dict[str, float]:
    seconds = [each.seconds for each in takeovers if each.of_task == of_task and each.is_alone == is_alone]
    if not seconds:
        return {"count": 0}
    return {"count": len(seconds), "median": round(median(seconds), 2), "longest": round(max(seconds), 2)}


def _told(figures: dict[str, float]) -> str:
    if not figures["count"]:
        return "none"
    return f"{figures['count']}: median {figures['median']:.1f} s, longest {figures['longest']:.1f} s"
