"""`python -m metabin data check` examines the data sets on a disk; `splits` writes their splits."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from metabin.datasets.sets import SETS


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser("python -m metabin data", description=__doc__)
    commands = flags.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="say which sets are there, and whether they are whole"
    )
    root = "the folder that holds the data sets"
    check.add_argument("--data-root", type=Path, required=True, help=root)
    opt_in = [name for name, dataset in SETS.items() if dataset.opt_in]
    for flag, names, text in (("--set", SETS, "only these"), ("--opt-in", opt_in, "also")):
        text = f"{text}: {', '.join(names)}"
        check.add_argument(flag, nargs="+", default=[], choices=names, metavar="NAME", help=text)
    fast = "count only; without it every picture is decoded"
    check.add_argument("--fast", action="store_true", help=fast)
    splits = commands.add_parser(
        "splits", help="write the persons of each split, for other programs"
    )
    where = "where to (default: data/splits)"
    splits.add_argument("--folder", type=Path, default=Path("data/splits"), help=where)
    return flags


def main(arguments: Sequence[str]) -> int:
    """Run a command; the exit code: 1 for a problem with the data, 2 for a wrong call."""
    flags = parser()
    options = flags.parse_args(arguments)
    if options.command == "splits":
        from metabin.datasets.splits import write_splits

        print(*write_splits(options.folder), sep="\n")
        return 0
    for name in options.set:
        if SETS[name].opt_in and name not in options.opt_in:
            flags.error(f"{name} is read only with --opt-in {name}. {SETS[name].notice}")
    from metabin.datasets.doctor import check_sets

    return check_sets(options.data_root, options.set, options.opt_in, options.fast)
