"""`python -m metabin figures`: draw the figures again from figures/results/."""

import argparse

from metabin import plotting
from metabin.experiments.command import add_choices, chosen_studies, place
from metabin.experiments.results import RESULTS, read_results
from metabin.runs.provenance import ROOT


def main(arguments: list[str]) -> int:
    """Print and draw the chosen experiments; those that were not run are named."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin figures", description="Draw the figures from figures/results/."
    )
    add_choices(parser)
    options = parser.parse_args(arguments)
    plotting.use_style()
    for name, study in chosen_studies(options).items():
        file = place(name, options.profile)
        if options.experiment == "all" and not (RESULTS / f"{file}.json").exists():
            print(f"{name}: not run")
            continue
        try:
            report = read_results(file)
        except FileNotFoundError as error:
            parser.exit(2, f"{error}\n")
        print(study.text(report), end="\n\n")
        if study.draw:
            figure = getattr(plotting, study.draw)(report)
            print(plotting.save(figure, ROOT / "figures" / f"{file}.svg"))
    return 0
