"""`python -m bench [WHAT ...]`; without a word all of it."""

import argparse
import shlex
import sys
from pathlib import Path

from bench.lib.results import write
from bench.measurements.first_audio import measure_first_audio
from bench.measurements.listeners import measure_listeners
from bench.measurements.memory import measure_memory
from bench.measurements.pipeline import measure_pipeline
from bench.measurements.queue_depth import measure_depth
from bench.measurements.recognition import measure_recognition
from bench.measurements.saturation import measure_saturation
from bench.measurements.upload import measure_upload

MEASUREMENTS = {
    "pipeline": measure_pipeline,
    "depth": measure_depth,
    "first-audio": measure_first_audio,
    "recognition": measure_recognition,
    "saturation": measure_saturation,
    "upload": measure_upload,
    "memory": measure_memory,
    "listeners": measure_listeners,
}

#: How often each is measured, in turn, where nobody says.
ROUNDS = {name: 5 if name in ("depth", "recognition", "saturation") else 3 for name in MEASUREMENTS}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument(
        "--rounds", type=int, help="how often each is measured, in turn; default: 5 where a target hangs on it, else 3"
    )
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of one throughput run; default: 1000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured there, too")
    arguments = parser.parse_args()
    unknown = set(arguments.what) - MEASUREMENTS.keys()
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    for name, measure in MEASUREMENTS.items():
        if not arguments.what or name in arguments.what:
            rounds = arguments.rounds or ROUNDS[name]
            measure(argparse.Namespace(rounds=rounds, jobs=arguments.jobs))
    if arguments.json:
        write(arguments.json, shlex.join(["python", "-m", "bench", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
