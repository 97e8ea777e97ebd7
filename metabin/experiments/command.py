"""`python -m metabin tables --experiment table3 --seeds 5`: run experiments, keep and print their results."""

import argparse
import functools
import os
import time
from collections.abc import Callable
from typing import NamedTuple

from metabin.analysis.embedding_study import figure3_text
from metabin.analysis.gradient_study import figure5_text
from metabin.experiments import declarations, runner
from metabin.experiments.architectures import table6, table6_text
from metabin.experiments.history import history, history_text
from metabin.experiments.memory import figure2, figure2_text
from metabin.experiments.phase import phase, phase_text
from metabin.experiments.pictures import figure3, figure5
from metabin.experiments.results import RESULTS, read_results
from metabin.experiments.spine import spine, spine_text, tuning, tuning_text
from metabin.runs.provenance import provenance, write_json


class Study(NamedTuple):
    """How an experiment is run, (seeds, jobs) -> report; printed, report -> text; and drawn, by name of `plotting`."""

    run: Callable[[int, int], dict]
    text: Callable[[dict], str]
    draw: str = ""
    seeds: int = 5


def studies(profile: str = "demo") -> dict[str, Study]:
    """All experiments by name, in an order in which each finds what it builds on."""
    found = {"tuning": Study(tuning, tuning_text), "spine": Study(spine, spine_text, "draw_spine")}
    for name, e in declarations.EXPERIMENTS.items():
        draw = "draw_curves" if any(row.at is not None for row in e.rows) else "draw_table"
        draw = "draw_rho_layers" if e.keeps_rho and name.startswith("figure") else draw
        run = functools.partial(runner.report, e)
        found[name] = Study(functools.partial(run, profile=profile), runner.text, draw, e.seeds)
    found["figure2"] = found["figure2"]._replace(
        run=functools.partial(figure2, profile=profile), text=figure2_text
    )
    found["history"] = Study(
        functools.partial(history, profile=profile), history_text, "draw_history"
    )
    found["figure3"] = Study(figure3, figure3_text, "draw_figure3")
    found["figure5"] = Study(figure5, figure5_text, "draw_figure5")
    found["table6"] = Study(functools.partial(table6, profile=profile), table6_text, seeds=3)
    return found | {"phase": Study(phase, phase_text, "draw_phase", seeds=3)}


def main(arguments: list[str]) -> int:
    """Run what is missing of the chosen experiments; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin tables", description="Run what the paper's tables and figures need."
    )
    add_choices(parser)
    parser.add_argument(
        "--seeds",
        type=int,
        help="worlds and initial weights, from 1 on (default: as declared, 5 or 3)",
    )
    parser.add_argument(
        "--jobs", type=int, help="processes (default: one for each core; one on a GPU)"
    )
    options = parser.parse_args(arguments)
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: an interval needs at least 2")
    jobs = options.jobs or (os.cpu_count() if options.profile == "demo" else 1)
    command = f"python -m metabin tables {' '.join(arguments)}".rstrip()
    made = {"command": command} | provenance()
    for name, study in chosen_studies(options).items():
        started = time.monotonic()
        report = study.run(options.seeds or study.seeds, jobs)
        made["seconds"] = round(time.monotonic() - started)  # less when trials were known already
        write_json(RESULTS / f"{place(name, options.profile)}.json", {"provenance": made} | report)
        print(study.text(read_results(place(name, options.profile))), end="\n\n")
    return 0


def add_choices(parser: argparse.ArgumentParser) -> None:
    """The flags that say which experiments: --experiment, --profile."""
    parser.add_argument("--experiment", choices=(*studies(), "all"), default="all")
    parser.add_argument(
        "--profile",
        choices=("demo", "gpu"),
        default="demo",
        help="gpu: the paper's networks, full size",
    )


def chosen_studies(options: argparse.Namespace) -> dict[str, Study]:
    """The studies that `add_choices` asked for, by name."""
    known = studies(options.profile)
    return known if options.experiment == "all" else {options.experiment: known[options.experiment]}


def place(name: str, profile: str) -> str:
    """The name of an experiment's file of results."""
    return name if profile == "demo" else f"{name}-{profile}"
