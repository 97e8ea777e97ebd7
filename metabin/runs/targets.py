"""The pictures that weights are tested on."""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from metabin.datasets import SETS, Listing, list_own
from metabin.datasets.protocols import (
    OpenProtocol,
    ProtocolRun,
    Target,
    open_protocol,
    protocol_run,
)
from metabin.runs.provenance import cache_folder

NEEDS_ROOT = "needs one --data-root: the folder that holds the data sets"
NO_HELD_OUT = "--held-out keeps identities of data sets: it needs --protocol"


def open_targets(options: argparse.Namespace, size: tuple[int, int]) -> OpenProtocol:
    """The targets that the flags name, data sets and people's own pictures, or a protocol's.

    A target that can't be tested is among the missing ones, with the reason.
    Raises ValueError or OSError for flags that don't fit and for own pictures that aren't there.
    """
    names, paths = sets_and_paths("--targets", options.targets)
    run = ProtocolRun((), ())
    if options.protocol or not options.targets:
        run = protocol_run(options.protocol or "no_duke", options.target)
    if options.targets:
        run = run._replace(targets=names)
    if options.data_root is None and (run.sources or names):
        what = f"--targets {names[0]}" if names else f"protocol {run.protocol}"
        raise ValueError(f"{what} {NEEDS_ROOT}")
    if options.held_out and not run.sources:
        raise ValueError(NO_HELD_OUT)
    root = options.data_root or Path()
    protocol = open_protocol(run, root, size, cache_folder(), options.held_out, options.opt_in)
    for path in paths:
        for listing in list_own(path):
            if listing.name in (*SETS, *protocol.run.targets):
                listing = replace(listing, name=f"{listing.name} ({path})")
            targets = *protocol.run.targets, listing.name
            protocol.run = protocol.run._replace(targets=targets)
            protocol.remarks += remarks_on(listing)
            protocol.add_divided(listing, options.camera_rule)
    return protocol


def remarks_on(listing: Listing) -> list[str]:
    """What was left out of people's own pictures, and what is unusual about them."""
    return [f"{listing.name}: {line}" for line in (*listing.left_out, *listing.remarks)]


def count_copies(target: Target) -> int:
    """How many queries have their own picture, pixel by pixel, as their person's in the gallery.

    Without the camera rule they don't find it; under the rule it isn't counted.
    Raises ValueError where no query has another picture of its person there.
    """
    if target.camera_rule:
        return 0
    images, (split,) = target.images, target.splits
    pids, numbers = images.pids.tolist(), images.camids.tolist()  # equal pixels, equal number
    pictures = defaultdict(set)  # pid -> numbers of the gallery's pictures
    for row in split.gallery:
        pictures[pids[row]].add(numbers[row])
    if not any(pictures[pids[row]] - {numbers[row]} for row in split.query):
        raise ValueError(
            "the gallery has no picture of a query's person but the query's own copy, which no "
            "query finds: put another picture of each person there"
        )
    return sum(numbers[row] in pictures[pids[row]] for row in split.query)


def sets_and_paths(flag: str, words: list[str]) -> tuple[tuple[str, ...], list[Path]]:
    """The words that are names of data sets, and those that are paths of own pictures.

    Raises ValueError for a word that is neither.
    """
    names = tuple(word for word in words if word in SETS)
    paths = [Path(word).expanduser() for word in words if word not in SETS]
    for path in paths:
        if not path.exists():
            raise ValueError(f"{flag} {path}: no such file, and no set of {', '.join(SETS)}")
    return names, paths
