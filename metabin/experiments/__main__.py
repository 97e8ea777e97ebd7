"""The command: tables, figures, checkpoints.

python -m metabin.experiments tables --experiment table3 --seeds 5
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from metabin.analysis.embedding_study import figure3_text
from metabin.analysis.gradient_study import figure5_text
from metabin.experiments import declarations, runner
from metabin.experiments.architectures import table6, table6_text
from metabin.experiments.checkpoints import make_checkpoints
from metabin.experiments.history import history, history_text
from metabin.experiments.memory import figure2, figure2_text
from metabin.experiments.phase import phase, phase_text
from metabin.experiments.pictures import figure3, figure5
from metabin.experiments.results import RESULTS, read_results
from metabin.experiments.spine import spine, spine_text, tuning, tuning_text
from metabin.provenance import ROOT, provenance, write_json


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
    found["figure2"] = found["figure2"]._replace(run=functools.partial(figure2, profile=profile), text=figure2_text)
    found["history"] = Study(functools.partial(history, profile=profile), history_text, "draw_history")
    found["figure3"] = Study(figure3, figure3_text, "draw_figure3")
    found["figure5"] = Study(figure5, figure5_text, "draw_figure5")
    found["table6"] = Study(functools.partial(table6, profile=profile), table6_text, seeds=3)
    return found | {"phase": Study(phase, phase_text, "draw_phase", seeds=3)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m metabin.experiments", description="Tables and figures of the paper."
    )
    parser.add_argument("what", choices=("tables", "figures", "checkpoints"))
    parser.add_argument("--experiment", choices=(*studies(), "all"), default="all")
    parser.add_argument(
        "--profile", choices=("demo", "gpu"), default="demo", help="gpu: the paper's networks, full size"
    )
    parser.add_argument(
        "--seeds", type=int, help="worlds and initial weights, from 1 on (default: as declared, 5 or 3)"
    )
    parser.add_argument("--jobs", type=int, help="processes (default: one for each core; one on a GPU)")
    parser.add_argument(
        "--compare", action="store_true", help="checkpoints: compare with the committed, change nothing"
    )
    options = parser.parse_args(arguments)
    jobs = options.jobs or (os.cpu_count() if options.profile == "demo" else 1)
    known = studies(options.profile)
    if options.seeds is not None and options.seeds < 2:
        parser.error("--seeds: an interval needs at least 2")
    made = {"command": f"python -m metabin.experiments {' '.join(arguments or sys.argv[1:])}"} | provenance()
    try:
        if options.what == "checkpoints":
            return make_checkpoints(jobs, options.compare)
        for name in known if options.experiment == "all" else [options.experiment]:
            place = name if options.profile == "demo" else f"{name}-{options.profile}"
            if options.what == "tables":
                started = time.monotonic()
                report = known[name].run(options.seeds or known[name].seeds, jobs)
                made["seconds"] = round(time.monotonic() - started)  # less when some trials were known already
                write_json(RESULTS / f"{place}.json", {"provenance": made} | report)
            elif options.experiment == "all" and not (RESULTS / f"{place}.json").exists():
                print(f"{name}: not run")
                continue
            report = read_results(place)
            print(known[name].text(report), end="\n\n")
            if options.what == "figures" and known[name].draw:
                draw_and_save(known[name].draw, report, place)
    except FileNotFoundError as error:
        parser.exit(2, f"{error}\n")
    return 0


def draw_and_save(draw: str, report: dict, name: str) -> None:
    from metabin import plotting  # here: training needs no matplotlib

    plotting.use_style()
    print(plotting.save(getattr(plotting, draw)(report), ROOT / "figures" / f"{name}.svg"))


if __name__ == "__main__":
    sys.exit(main())
