"""Run the fault campaign: `make chaos JOBS=200 FAULTS=60 SEED=1`. Exit with status 1 if there are findings."""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from chaos.campaign import Plan, run_campaign
from chaos.report import print_report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="number of recordings to upload; default: 200")
    parser.add_argument("--faults", type=int, default=60, help="number of faults to inject; default: 60")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="seed of the faults; default: a random one"
    )
    parser.add_argument(
        "--appendfsync", choices=("everysec", "always"), default="everysec", help="when Redis syncs its file to disk"
    )
    arguments = parser.parse_args()
    plan = Plan(arguments.jobs, arguments.faults, arguments.seed, arguments.appendfsync)
    console = Console(width=120)
    console.print(f"JOBS={plan.jobs} FAULTS={plan.faults} SEED={plan.seed} repeats this run.", highlight=False)

    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    result = asyncio.run(run_campaign(plan, base, lambda line: console.print(line, highlight=False)))
    print_report(result, console)
    if result.findings:
        console.print(f"Logs and Redis's files are in {base}.")
        sys.exit(1)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
