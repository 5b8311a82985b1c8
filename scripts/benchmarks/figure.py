"""A figure: what is measured, what it may be, and what it was; as a line of a table."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from statistics import median

Pair = tuple[float, float | None]  #: nflow, and the floor right after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure."""

    quick: bool = False

    def times(self, usual: int) -> int:
        """Repetitions, instead of so many."""
        return max(2, usual // 3) if self.quick else usual

    def size(self, usual: int) -> int:
        """Tasks or runs, instead of so many."""
        return usual // 5 if self.quick else usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something to measure. Each repetition yields nflow's value and the floor's, so that both saw the same machine."""

    name: str
    what: str
    unit: str
    floor: str  #: what the floor is
    measure: Callable[[Effort], AsyncIterator[Pair]]
    budget: float | None = None
    is_rate: bool = False  #: more is better


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one figure was, over all repetitions."""

    figure: Figure
    pairs: Sequence[Pair]

    @property
    def value(self) -> float:
        """The median."""
        return median(value for value, _ in self.pairs)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest."""
        values = [value for value, _ in self.pairs]
        return min(values), max(values)

    @property
    def floor(self) -> float | None:
        """The median of the floor."""
        floors = [floor for _, floor in self.pairs if floor is not None]
        return median(floors) if floors else None

    @property
    def ratio(self) -> float | None:
        """How many times the floor's cost nflow has: the median over the repetitions, each with its own floor."""
        ratios = [value / floor for value, floor in self.pairs if floor]
        if not ratios:
            return None
        return 1 / median(ratios) if self.figure.is_rate else median(ratios)

    @property
    def holds(self) -> bool | None:
        """Whether the budget is kept; None where there is none."""
        if self.figure.budget is None:
            return None
        return self.value >= self.figure.budget if self.figure.is_rate else self.value <= self.figure.budget

    def as_json(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "name": self.figure.name,
            "what": self.figure.what,
            "unit": self.figure.unit,
            "median": self.value,
            "values": [value for value, _ in self.pairs],
            "budget": self.figure.budget,
            "holds": self.holds,
            "floor": self.floor,
            "ratio": self.ratio,
        }


_LINE = "{:<48} {:>24} {:>9} {:>5} {:>10} {:>6}   {}"

HEADER = _LINE.format("what", "median (min - max)", "budget", "", "floor", "ratio", "the floor is")


def line(result: Result) -> str:
    """One line of the table."""
    figure = result.figure
    least, greatest = result.spread
    sign = "≥" if figure.is_rate else "≤"
    return _LINE.format(
        f"{figure.what}, {figure.unit}",
        f"{number(result.value)} ({number(least)} - {number(greatest)})",
        "" if figure.budget is None else f"{sign} {number(figure.budget)}",
        {True: "ok", False: "OVER", None: ""}[result.holds],
        number(result.floor),
        "" if result.ratio is None else f"{result.ratio:.1f}",
        figure.floor,
    )


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
