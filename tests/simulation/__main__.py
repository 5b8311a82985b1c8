"""The command line of the simulation: `scripts/simulate`."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.plan import Plan, plan_of
from tests.simulation.planted import BUGS
from tests.simulation.port import Port
from tests.simulation.shrink import shrunk
from tests.simulation.story import told
from tests.simulation.world import simulate

#: Seeds that one process takes at a time.
PORTION = 50

#: Broken guarantees whose stories are told.
MOST_STORIES = 3


@dataclass(kw_only=True)
class Tally:
    """What came of some seeds."""

    seeds: int = 0
    runs: int = 0
    records: int = 0
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str, str]] = field(default_factory=list)  #: seed, guarantee, what

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.runs += other.runs
        self.records += other.records
        self.seconds += other.seconds
        self.happened.update(other.happened)
        self.broken += other.broken


def tally(portion: tuple[int, int, str]) -> Tally:
    """Simulate some seeds."""
    first, last, planted = portion
    port = BUGS.get(planted, Port)
    found = Tally()
    for seed in range(first, last):
        outcome = simulate(plan_of(seed), port)
        found.seeds += 1
        found.runs += outcome.runs
        found.records += outcome.records
        found.seconds += outcome.seconds
        found.happened.update(outcome.happened)
        if outcome.broken is not None:
            found.broken.append((seed, outcome.broken.guarantee, outcome.broken.what))
    return found


def tallies(arguments: argparse.Namespace) -> Iterator[Tally]:
    """Simulate all seeds, a portion at a time."""
    first, last = arguments.first, arguments.first + arguments.seeds
    portions = [(start, min(start + PORTION, last), arguments.planted) for start in range(first, last, PORTION)]
    if arguments.jobs == 1:
        yield from map(tally, portions)
        return
    with get_context("fork").Pool(arguments.jobs) as pool:
        yield from pool.imap(tally, portions)


def main() -> int:
    """Simulate, and say what was found."""
    arguments = _arguments()
    if arguments.seed is not None:
        plan = plan_of(arguments.seed)
        port = BUGS.get(arguments.planted, Port)
        outcome = simulate(plan, port, tells_story=True)
        if outcome.broken is not None and arguments.shrink:
            return _tell(plan, port, outcome.broken.guarantee)
        print("\n".join(told(plan, outcome)))
        return int(outcome.broken is not None)
    return _many(arguments)


def _many(arguments: argparse.Namespace) -> int:
    total, began = Tally(), time.perf_counter()
    for each in tallies(arguments):
        total.add(each)
        for seed, guarantee, what in each.broken:
            print(f"seed {seed} breaks: {guarantee}: {what[:300]}", flush=True)
        _progress(total, time.perf_counter() - began)
        if total.broken and arguments.planted:
            break
    _sum_up(total, time.perf_counter() - began)
    for seed, guarantee, _ in total.broken[:MOST_STORIES]:
        _tell(plan_of(seed), BUGS.get(arguments.planted, Port), guarantee)
    return int(bool(total.broken))


def _progress(total: Tally, took: float) -> None:
    line = f"{total.seeds} seeds, {total.seeds / took:.0f}/s, {len(total.broken)} broken"
    if sys.stderr.isatty():
        print(f"\r{line} ", end="", file=sys.stderr)
    elif total.seeds % 1000 == 0:
        print(line, file=sys.stderr)


def _sum_up(total: Tally, took: float) -> None:
    print(
        f"{total.seeds} seeds in {took:.1f} s ({total.seeds / took:.0f}/s): {total.runs} runs, "
        f"{total.records} records, {total.seconds / 3600:.1f} simulated hours"
    )
    print(", ".join(f"{count} x {what}" for what, count in sorted(total.happened.items())))
    for guarantee, count in Counter(guarantee for _, guarantee, _ in total.broken).most_common():
        seeds = [seed for seed, broken, _ in total.broken if broken == guarantee]
        print(f"BROKEN {count} times: {guarantee}; seeds {', '.join(map(str, seeds[:10]))}")
    if not total.broken:
        print("every guarantee held")


def _tell(plan: Plan, port: type[Port], guarantee: str) -> int:
    """The shrunk story of a broken guarantee."""

    def still_fails(smaller: Plan) -> bool:
        broken = simulate(smaller, port).broken
        return broken is not None and broken.guarantee == guarantee

    smallest = shrunk(plan, still_fails)
    print(f"\n--- seed {plan.seed}, with all that does not matter taken away:")
    print("\n".join(told(smallest, simulate(smallest, port, tells_story=True))))
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Simulates workers, clients and a server in virtual time, lets everything go wrong, and checks "
        "what nflow guarantees. Exit code 1: a guarantee was broken; its shrunk story is printed.",
        epilog="example: scripts/simulate --seeds 20000 --jobs 2; scripts/simulate --seed 4711",
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--seed", type=int, help="simulate this one and print its story")
    parser.add_argument("--shrink", action="store_true", help="with --seed: take away what does not matter")
    parser.add_argument("--planted", choices=sorted(BUGS), default="", help="with this bug, until it is found")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
