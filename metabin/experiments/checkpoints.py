"""`python -m metabin checkpoints`: train the networks that the lessons read, or compare them."""

import argparse
import os


def main(arguments: list[str]) -> int:
    """Make or compare the lessons' networks; returns the exit code."""
    parser = argparse.ArgumentParser("python -m metabin checkpoints", description=__doc__)
    flag = parser.add_argument
    flag("--compare", action="store_true", help="compare with the committed, change nothing")
    flag("--studio", action="store_true", help="train what finished trainings start from instead")
    flag("--jobs", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args(arguments)
    from metabin.experiments.lesson_networks import make_checkpoints, make_studio  # imports torch

    if options.studio:
        make_studio()
        return 0
    return make_checkpoints(options.jobs, options.compare)
