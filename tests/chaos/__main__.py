"""`make chaos JOBS=200 FAULTS=60 SEED=1`: exit status 1 if a promise was broken."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from chaos.campaign import Plan, run
from chaos.report import print_report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="recordings to upload; default: 200")
    parser.add_argument("--faults", type=int, default=60, help="faults to inject; default: 60")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: a random one")
    parser.add_argument("--appendfsync", choices=("everysec", "always"), default="everysec", help="how Redis saves")
    arguments = parser.parse_args()
    plan = Plan(arguments.jobs, arguments.faults, arguments.seed, arguments.appendfsync)
    console = Console(width=120)
    console.print(f"JOBS={plan.jobs} FAULTS={plan.faults} SEED={plan.seed} replays this run.", highlight=False)

    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    result = asyncio.run(run(plan, base, lambda line: console.print(line, highlight=False)))
    print_report(result, console)
    if result.findings:
        console.print(f"Logs and Redis's files are in {base}.")
        sys.exit(1)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
