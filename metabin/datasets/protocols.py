"""The protocols of the field: which sets a model is trained on, which it is tested on, and how (Section 4.1).

experiment = open_protocol("no_duke", "~/reid", cache="build/cache")
experiment.train                                # one ImageSet
experiment.tests["viper"].pairs()               # query and gallery of each of its splits
experiment.missing                              # what isn't there, and why
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch

from metabin.data.images import ImageSet, relabel
from metabin.datasets.counts import miscounts, undivided
from metabin.datasets.listing import PARTS, Listing
from metabin.datasets.load import Size, load_images
from metabin.datasets.sets import SETS
from metabin.datasets.splits import DESIGNS, Split, splits_of


class Run(NamedTuple):
    """One training: its sets, the parts of the sources that are learnt from, and whether a domain is a set or a camera."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    parts: tuple[str, ...] = PARTS
    cameras: bool = False


SMALL = tuple(DESIGNS)  # VIPeR, PRID, GRID, i-LIDS
LARGE = (
    "market1501",
    "cuhk03",
    "msmt17",
)  # have a query and a gallery of their own; CUHK-SYSU tells no cameras
TRAIN = ("train",)
PROTOCOLS = {
    "original": (
        Run(("market1501", "dukemtmc", "cuhk02", "cuhk03", "cuhksysu"), SMALL),
    ),  # Table 1
    "no_duke": (
        Run(("market1501", "cuhk02", "cuhk03", "cuhksysu"), SMALL),
    ),  # Protocol-1 of later papers
    "leave_one_out": tuple(
        Run(tuple(s for s in (*LARGE, "cuhksysu") if s != target), (target,), TRAIN)
        for target in LARGE
    ),
    "market_duke": (  # Table 2
        Run(("market1501",), ("dukemtmc",), TRAIN, cameras=True),
        Run(("dukemtmc",), ("market1501",), TRAIN, cameras=True),
    ),
    "supervised": tuple(
        Run((s,), (s,), TRAIN, cameras=True) for s in (*LARGE, "dukemtmc")
    ),  # Table 5: Market-1501
}


@dataclass(frozen=True, eq=False)
class Target:
    """Pictures to be found again, in one or several splits into query and gallery; decoded when first asked for."""

    listing: Listing
    splits: tuple[Split, ...]
    origin: str  # where the splits come from
    size: Size
    cache: Path | None

    @cached_property
    def images(self) -> ImageSet:
        return load_images(self.listing, self.size, self.cache)

    def pairs(self) -> Iterator[tuple[ImageSet, ImageSet]]:
        """Query and gallery of each split."""
        return ((self.images[query], self.images[gallery]) for query, gallery in self.splits)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A protocol's run on what a user has. `validation` holds the source identities that were kept out of `train`.

    `remarks` says what is unusual about the sets that are there: copies that are not complete, or lie there twice.
    """

    protocol: str
    sources: tuple[Listing, ...]
    tests: dict[str, Target]
    validation: dict[str, Target]
    missing: dict[str, str]  # set -> why it isn't there or can't be used
    remarks: tuple[str, ...]
    cameras: bool
    size: Size
    cache: Path | None

    @cached_property
    def train(self) -> ImageSet:
        """All sources as one set with identities from 0 and a domain for each set, or for each camera.

        Raises ValueError when there is no source.
        """
        if not self.sources:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())
            raise ValueError(f"protocol {self.protocol!r} has no source to train on. {reasons}")
        images = relabel(load_images(self.sources, self.size, self.cache))
        return by_camera(images) if self.cameras else images


def open_protocol(
    name: str,
    data_root: Path | str,
    size: Size = (256, 128),
    cache: Path | str | None = None,
    target: str | None = None,
    held_out: int = 0,
    opt_in: Sequence[str] = (),
) -> Experiment:
    """Find a protocol's sets under `data_root` and draw its splits; no picture is decoded before it is asked for.

    `target` chooses among the runs of "leave_one_out", "market_duke" and "supervised" (otherwise the first).
    `held_out` identities of each source are kept out of training, to choose a model by. Sets with a notice are only read
    if `opt_in` names them. A set that can't be read, or whose splits don't fit, is among the missing ones, and one that has
    other counts than a complete copy is remarked. Raises ValueError for an unknown name, FileNotFoundError without the folder.
    """
    data_root = Path(data_root).expanduser()
    if not data_root.is_dir():
        raise FileNotFoundError(
            f"{data_root} is not there: give the folder that holds the data sets"
        )
    run, missing, remarks = choose(name, target), {}, []
    found = {
        s: _find(s, data_root, opt_in, missing, remarks)
        for s in dict.fromkeys(run.sources + run.targets)
    }
    cache = None if cache is None else Path(cache).expanduser()
    tests, validation, sources = {}, {}, []
    for s in (s for s in run.targets if found[s]):
        if splits := _splits(found[s], missing):
            tests[s] = Target(*splits, size, cache)
    for s in (s for s in run.sources if found[s]):
        listing = _to_train(found[s], run.parts, missing, remarks)
        if held_out and listing:
            listing, kept, split = hold_out(listing, held_out)
            validation[s] = Target(kept, (split,), f"{held_out} identities held out", size, cache)
        sources += [listing] if listing else []
    return Experiment(
        name, tuple(sources), tests, validation, missing, tuple(remarks), run.cameras, size, cache
    )


def choose(name: str, target: str | None = None) -> Run:
    """A protocol's run by its target; the first where none is named. Raises ValueError for names that there aren't."""
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}: choose from {', '.join(PROTOCOLS)}")
    runs = [run for run in PROTOCOLS[name] if target is None or target in run.targets]
    if not runs:
        targets = dict.fromkeys(t for run in PROTOCOLS[name] for t in run.targets)
        raise ValueError(
            f"protocol {name!r} has no target {target!r}: choose from {', '.join(targets)}"
        )
    return runs[0]


def _find(
    name: str, data_root: Path, opt_in: Sequence[str], missing: dict[str, str], remarks: list[str]
) -> Listing | None:
    """The set's listing, with remarks; None, with the reason in `missing`, where it can't be read or wasn't asked for."""
    known = SETS[name]
    if known.opt_in and name not in opt_in:
        missing[name] = f"read only on request (opt_in): {known.notice}"
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            listing = known.find(data_root)
        except (ValueError, OSError, ImportError) as error:
            missing[name] = f"can't be read: {error}"
            return None
    if listing is None:
        missing[name] = f"not found in {data_root}: expected {known.layout}"
        return None
    remarks += [
        f"{name}: {line}"
        for line in (*(str(w.message) for w in caught), *miscounts(known, listing))
    ]
    return listing


def _to_train(
    listing: Listing, parts: Sequence[str], missing: dict[str, str], remarks: list[str]
) -> Listing | None:
    """What of a source is learnt from; None, with the reason, where that is nothing."""
    if parts == TRAIN and undivided(SETS[listing.name], listing):
        remarks.append(
            f"{listing.name}: not divided, all its {len(listing.ids):,} identities are learnt from"
        )
    listing = listing.part(*parts).people()
    if not len(listing):
        missing[listing.name] = f"{listing.root} has no pictures to learn from ({', '.join(parts)})"
    return listing if len(listing) else None


def _splits(
    listing: Listing, missing: dict[str, str]
) -> tuple[Listing, tuple[Split, ...], str] | None:
    """What a target is tested on: drawn splits, or its own query and gallery; None, with the reason, where it has none."""
    if listing.name in DESIGNS:
        try:
            return listing, *splits_of(listing)
        except ValueError as error:
            missing[listing.name] = str(error)
            return None
    listing = listing.part("query", "gallery")
    parts = [picture.part for picture in listing.pictures]
    if len(set(parts)) < 2:
        missing[listing.name] = f"{listing.root} has no query and gallery to test on"
        return None
    rows = (
        torch.tensor([row for row, part in enumerate(parts) if part == wanted])
        for wanted in ("query", "gallery")
    )
    return listing, (Split(*rows),), "the set's own query and gallery"


def hold_out(listing: Listing, num_ids: int) -> tuple[Listing, Listing, Split]:
    """The listing without `num_ids` identities, those alone, and one query picture of each against all their others.

    Which ones is decided by SHA-256 of set and number, among those that two cameras saw: every run holds out the same.
    Raises ValueError when there are not more such identities.
    """
    rows, cameras = defaultdict(list), defaultdict(set)
    for picture in listing.pictures:
        rows[picture.pid].append(picture)
        cameras[picture.pid].add(picture.camid)

    def digest(*words: object) -> int:
        return int(
            sha256("/".join(map(str, ("held out", listing.name, *words))).encode()).hexdigest(), 16
        )

    seen_twice = sorted((pid for pid in rows if len(cameras[pid]) > 1), key=digest)
    if not 0 < num_ids < len(seen_twice):
        raise ValueError(
            f"{listing.name}: cannot hold out {num_ids} of {len(seen_twice)} identities seen by two cameras"
        )
    chosen = sorted(seen_twice[:num_ids])
    kept = [picture for pid in chosen for picture in rows[pid]]
    queries, first = [], 0
    for pid in chosen:
        queries.append(first + digest(pid, "query") % len(rows[pid]))
        first += len(rows[pid])
    split = Split(torch.tensor(queries), torch.tensor(sorted(set(range(len(kept))) - set(queries))))
    rest = tuple(picture for picture in listing.pictures if picture.pid not in set(chosen))
    return replace(listing, pictures=rest), replace(listing, pictures=tuple(kept)), split


def by_camera(images: ImageSet) -> ImageSet:
    """The same images with a domain for each camera of each of its domains (Section 4.1, cross-domain)."""
    pairs = torch.stack([images.domains, images.camids], dim=1)  # (N, 2)
    found, domains = pairs.unique(dim=0, return_inverse=True)  # (D, 2), (N,)
    names = tuple(
        f"{images.names[domain]} camera {camera + 1}" for domain, camera in found.tolist()
    )
    return replace(images, domains=domains, names=names)
