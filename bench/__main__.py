"""Run the benchmarks: `python -m bench [MEASUREMENT ...]`; without an argument all of them."""

import argparse
import shlex
import sys
from pathlib import Path

from bench.lib.results import write_results
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

#: Rounds in which the contenders take turns: more where a performance target depends on the figure.
ROUNDS = {name: 5 if name in ("depth", "recognition", "saturation") else 3 for name in MEASUREMENTS}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "measurements",
        nargs="*",
        metavar="MEASUREMENT",
        help=f"one or more of {', '.join(MEASUREMENTS)}; default: all",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help="rounds in which the contenders take turns; default: 5 for depth, recognition and saturation, else 3",
    )
    parser.add_argument("--jobs", type=int, default=1000, help="jobs per throughput run; default: 1000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and tables to FILE, too")
    arguments = parser.parse_args()
    unknown = set(arguments.measurements) - MEASUREMENTS.keys()
    if unknown:
        parser.error(f"unknown measurement: {', '.join(sorted(unknown))}")
    for name, measure in MEASUREMENTS.items():
        if not arguments.measurements or name in arguments.measurements:
            rounds = arguments.rounds or ROUNDS[name]
            measure(argparse.Namespace(rounds=rounds, jobs=arguments.jobs))
    if arguments.json:
        write_results(arguments.json, shlex.join(["python", "-m", "bench", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
