"""`scripts/chaos`: kills, freezes, cuts and slows real processes under a steady load, then accounts for every run."""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.chaos.campaign import available, campaign
from tests.chaos.report import as_fields, show

_STORES = ("both", "nats", "mongodb")


def main() -> int:
    """Run a campaign; 1 if nflow has broken a promise."""
    arguments = _arguments()
    seed = random.randrange(1 << 31) if arguments.seed is None else arguments.seed
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="nflow-chaos-")).absolute()
    stores = available() if arguments.store == "both" else [arguments.store]
    _say(f"seed {seed}, {arguments.minutes:g} minutes with {' and '.join(stores)} as the store, evidence in {folder}")
    parts = asyncio.run(campaign(folder, stores, seconds=60 * arguments.minutes, seed=seed, say=_say))
    fields = as_fields(parts, seed)
    if arguments.json:
        print(json.dumps(fields, indent=2))
    else:
        show(fields, Console(width=100))
    if fields["broken"]:
        _say(f"NOT KEPT: {len(fields['broken'])} promises; the evidence is in {folder}")
        return 1
    if arguments.keep is None:
        shutil.rmtree(folder)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="of harm; by default 2")
    parser.add_argument("--seed", type=int, help="do the same harm again; what nflow makes of it is never the same")
    parser.add_argument(
        "--store", choices=_STORES, default="both", help="the store of the runs; by default half and half"
    )
    parser.add_argument("--keep", metavar="DIR", help="a new folder for logs and data, which is kept in any case")
    parser.add_argument("--json", action="store_true", help="the account as JSON")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
