"""`python -m metabin data check` examines the data sets on a disk, `splits` makes the files in data/splits."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from metabin.datasets import doctor, splits
from metabin.datasets.sets import SETS


def main(arguments: Sequence[str]) -> int:
    """Run a command; the exit code is 1 when it found a problem, 2 when it was called in a way that it doesn't know."""
    parser = argparse.ArgumentParser(prog="python -m metabin data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="say which data sets are there, and whether they are whole"
    )
    check.add_argument(
        "--data-root", type=Path, required=True, help="the folder that holds the data sets"
    )
    check.add_argument(
        "--set",
        nargs="+",
        default=[],
        choices=SETS,
        metavar="NAME",
        help=f"only these: {', '.join(SETS)}",
    )
    opt_in = [name for name, dataset in SETS.items() if dataset.opt_in]
    check.add_argument(
        "--opt-in",
        nargs="+",
        default=[],
        choices=opt_in,
        metavar="NAME",
        help=f"also: {', '.join(opt_in)}",
    )
    check.add_argument(
        "--fast", action="store_true", help="count only; without it every picture is decoded"
    )
    commands.add_parser(
        "splits", help="make the files with the identities of each split", add_help=False
    )
    given, rest = parser.parse_known_args(arguments)
    if given.command == "splits":
        return splits.main(rest) or 0
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    if closed := [name for name in given.set if SETS[name].opt_in and name not in given.opt_in]:
        parser.error(
            f"{closed[0]} is read only with --opt-in {closed[0]}. {SETS[closed[0]].notice}"
        )
    return doctor.check(given.data_root, given.set, given.opt_in, given.fast)
