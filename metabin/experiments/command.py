"""`python -m metabin tables --experiment table3 --seeds 5`: run experiments, keep their reports."""

import argparse
import os
import time

from metabin.runs.provenance import provenance, write_json

NAMES = (
    "tuning",
    "spine",
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "figure2",
    "figure4",
    "figure6",
    "figure8",
    "figure9",
    "figure10",
    "question",
    "second_look",
    "history",
    "figure3",
    "figure5",
    "table6",
    "phase",
)


def main(arguments: list[str]) -> int:
    """Run what is missing of the chosen experiments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin tables", description="Run what the paper's tables and figures need."
    )
    add_experiment_flags(parser)
    parser.add_argument(
        "--seeds",
        type=int,
        help="how many worlds and initial weights (default: as declared)",
    )
    parser.add_argument(
        "--jobs", type=int, help="processes (default: one for each core; one on a GPU)"
    )
    options = parser.parse_args(arguments)
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: an interval needs at least 2")
    from metabin.experiments.procedures import chosen_procedures  # torch is slow to import
    from metabin.experiments.results import RESULTS, read_results

    jobs = options.jobs or (os.cpu_count() if options.profile == "demo" else 1)
    made = {"command": f"python -m metabin tables {' '.join(arguments)}".rstrip()} | provenance()
    for name, procedure in chosen_procedures(options.experiment, options.profile).items():
        started = time.monotonic()
        report = procedure.report(options.seeds or procedure.seeds, jobs)
        made["seconds"] = round(time.monotonic() - started)  # less when trials were known already
        file = results_name(name, options.profile)
        write_json(RESULTS / f"{file}.json", {"provenance": made} | report)
        print(procedure.text(read_results(file)), end="\n\n")
    return 0


def add_experiment_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which experiments are meant: --experiment, --profile."""
    parser.add_argument("--experiment", choices=(*NAMES, "all"), default="all")
    parser.add_argument(
        "--profile",
        choices=("demo", "gpu"),
        default="demo",
        help="gpu: the paper's networks, full size",
    )


def results_name(experiment: str, profile: str) -> str:
    """The name of an experiment's file of results, without its ending."""
    return experiment if profile == "demo" else f"{experiment}-{profile}"
