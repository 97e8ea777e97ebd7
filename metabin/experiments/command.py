"""`python -m metabin tables --experiment table3 --seeds 5`: run experiments, keep their reports."""

import argparse
import os
import time

from metabin.experiments.names import NAMES, results_name
from metabin.runs.provenance import provenance, write_json


def main(arguments: list[str]) -> int:
    """Run what is missing of the chosen experiments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin tables", description="Run what the paper's tables and figures need."
    )
    add_experiment_flags(parser)
    parser.add_argument("--seeds", type=int, help="how many worlds (default: as declared)")
    jobs = "processes (default: one for each core); 0: run nothing, report the rows that are known"
    parser.add_argument("--jobs", type=int, help=jobs)
    options = parser.parse_args(arguments)
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: an interval needs at least 2")
    from metabin.experiments.procedures import chosen_procedures  # torch is slow to import
    from metabin.experiments.results import RESULTS, read_results
    from metabin.experiments.trials import NotRun

    jobs = options.jobs
    if jobs is None:
        jobs = os.cpu_count() if options.profile != "gpu" else 1
    made = {"command": f"python -m metabin tables {' '.join(arguments)}".rstrip()} | provenance()
    try:
        chosen = chosen_procedures(options.experiment, options.profile)
    except ValueError as error:
        parser.error(str(error))
    for name, procedure in chosen.items():
        started = time.monotonic()
        try:
            report = procedure.report(options.seeds or procedure.seeds, jobs)
        except NotRun as error:
            parser.error(f"{name}: {error}")
        made["seconds"] = round(time.monotonic() - started)  # less when trials were known already
        file = results_name(name, options.profile)
        write_json(RESULTS / f"{file}.json", {"provenance": made} | report)
        print(procedure.text(read_results(name, options.profile)), end="\n\n")
    return 0


def add_experiment_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which experiments are meant: --experiment, --profile."""
    parser.add_argument("--experiment", choices=(*NAMES, "all"), default="all")
    parser.add_argument(
        "--profile",
        choices=("demo", "finished", "gpu"),
        default="demo",
        help="demo: 300 iterations from random weights; finished: from the studio's weights, "
        "tested on unseen streets, far and at home; gpu: the paper's networks, full size",
    )
