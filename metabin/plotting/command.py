"""`python -m metabin figures`: draw the figures again, from figures/results/ or from formulas."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from metabin.experiments.command import add_experiment_flags
from metabin.experiments.names import results_name


def main(arguments: list[str]) -> int:
    """Print and draw the chosen experiments, or a picture; the exit code is 2 for no results."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin figures", description="Draw the figures from figures/results/."
    )
    add_experiment_flags(parser)
    parser.add_argument("--picture", help="instead: the picture that opens a lesson, or all")
    help = "instead: the rank lists in FILE, from python -m metabin test --json FILE, beside it"
    parser.add_argument("--rank-lists", type=Path, metavar="FILE", help=help)
    options = parser.parse_args(arguments)
    try:
        if options.picture:
            draw_pictures(options.picture)
        elif options.rank_lists:
            from metabin.plotting.rank_lists import draw_result

            print(*draw_result(options.rank_lists), sep="\n")
        else:
            draw_experiments(options.experiment, options.profile)
    except (FileNotFoundError, ValueError) as error:
        parser.exit(2, f"{error}\n")
    return 0


def draw_experiments(experiment: str, profile: str) -> None:
    """Print the report of an experiment, or of all, and draw those that have a figure."""
    from metabin import plotting
    from metabin.experiments.procedures import chosen_procedures
    from metabin.experiments.results import RESULTS, read_results

    for name, procedure in chosen_procedures(experiment, profile).items():
        file = results_name(name, profile)
        if experiment == "all" and not (RESULTS / f"{file}.json").exists():
            print(f"{name}: not run")
            continue
        report = read_results(name, profile)
        print(procedure.text(report), end="\n\n")
        if procedure.draw:
            _keep(partial(getattr(plotting, procedure.draw), report), file)


def draw_pictures(name: str) -> None:
    """Draw one of the pictures that open lessons, or all. Raises ValueError for another name."""
    from metabin.plotting.pictures import PICTURES

    if name not in (*PICTURES, "all"):
        raise ValueError(f"no picture {name!r}: choose one of {', '.join(PICTURES)}, all")
    for picture in PICTURES if name == "all" else [name]:
        _keep(PICTURES[picture], picture)


def _keep(draw: Callable, name: str) -> None:
    """Draw in the house style and write figures/NAME.svg."""
    from metabin.plotting.style import save, use_style
    from metabin.runs.provenance import ROOT

    use_style()
    print(save(draw(), ROOT / "figures" / f"{name}.svg"))
