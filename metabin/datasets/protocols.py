"""The field's protocols: which sets a model learns from, which it is tested on, and how (Sec. 4.1).

protocol = open_protocol("no_duke", "~/reid", cache="build/cache")
protocol.train                                # one ImageSet
protocol.tests["viper"].pairs()               # query and gallery of each of its splits
protocol.missing                              # what isn't there, and why
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metabin.datasets.decode import Size
from metabin.datasets.folders import no_folder
from metabin.datasets.listing import PARTS, Listing
from metabin.datasets.matches import obstacle, unmatched_remarks
from metabin.datasets.sets import SETS
from metabin.datasets.splits import DESIGNS, Split, hold_out, splits_of

if TYPE_CHECKING:  # a command's --help doesn't wait for torch
    from metabin.data.images import ImageSet


class ProtocolRun(NamedTuple):
    """One training: sets to learn from and to be tested on, and the parts that are learnt from.

    With `cameras` a domain is a camera, otherwise a source. `protocol` is the protocol's name.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    parts: tuple[str, ...] = PARTS
    cameras: bool = False
    protocol: str = "own"


SMALL = tuple(DESIGNS)  # VIPeR, PRID, GRID, i-LIDS
LARGE = ("market1501", "cuhk03", "msmt17")  # divided; CUHK-SYSU tells no cameras
TRAIN = ("train",)


def leave_one_out(target: str) -> ProtocolRun:
    sources = [name for name in (*LARGE, "cuhksysu") if name != target]
    return ProtocolRun(tuple(sources), (target,), TRAIN)


def single_source(source: str, target: str) -> ProtocolRun:
    return ProtocolRun((source,), (target,), TRAIN, cameras=True)


PROTOCOLS = {
    "original": (  # Table 1
        ProtocolRun(("market1501", "dukemtmc", "cuhk02", "cuhk03", "cuhksysu"), SMALL),
    ),
    "no_duke": (  # Protocol-1 of later papers
        ProtocolRun(("market1501", "cuhk02", "cuhk03", "cuhksysu"), SMALL),
    ),
    "leave_one_out": tuple(leave_one_out(target) for target in LARGE),
    "market_duke": (  # Table 2
        single_source("market1501", "dukemtmc"),
        single_source("dukemtmc", "market1501"),
    ),
    "supervised": tuple(  # Table 5: Market-1501
        single_source(name, name) for name in (*LARGE, "dukemtmc")
    ),
}


def protocol_run(name: str, target: str | None = None) -> ProtocolRun:
    """A protocol's run by its target; the first one without a target.

    Raises ValueError for a protocol or target that there isn't.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"no protocol {name!r}: choose from {', '.join(PROTOCOLS)}")
    for run in PROTOCOLS[name]:
        if target is None or target in run.targets:
            return run._replace(protocol=name)
    targets = dict.fromkeys(t for run in PROTOCOLS[name] for t in run.targets)
    raise ValueError(
        f"protocol {name!r} has no target {target!r}: choose from {', '.join(targets)}"
    )


@dataclass(frozen=True, eq=False)
class Target:
    """Pictures to be found again, in one or several splits into query and gallery.

    They are decoded when they are first asked for. `origin` says where the splits come from.
    Without the camera rule, equal pictures share a camera number of their own: a query finds
    pictures from its own camera, but never itself.
    """

    listing: Listing
    splits: tuple[Split, ...]
    origin: str
    size: Size
    cache: Path | None
    camera_rule: bool = True

    @cached_property
    def images(self) -> "ImageSet":
        from metabin.datasets.load import load_images, number_pictures

        images = load_images(self.listing, self.size, self.cache)
        if self.camera_rule:
            return images
        return replace(images, camids=number_pictures(images.images))

    def pairs(self) -> Iterator[tuple["ImageSet", "ImageSet"]]:
        """Query and gallery of each split."""
        from torch import tensor

        for split in self.splits:
            yield self.images[tensor(split.query)], self.images[tensor(split.gallery)]


@dataclass(eq=False)
class OpenProtocol:
    """A protocol's run on what a user has.

    `validation` holds the source persons that were kept out of `train`, `missing` why a set isn't
    there or can't be used. `remarks` say what is unusual about the sets that are there.
    """

    run: ProtocolRun
    size: Size
    cache: Path | None
    sources: list[Listing] = field(default_factory=list)
    tests: dict[str, Target] = field(default_factory=dict)
    validation: dict[str, Target] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def why_missing(self) -> str:
        return "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())

    @cached_property
    def train(self) -> "ImageSet":
        """All sources as one set, persons from 0, with a domain for each set or for each camera.

        Raises ValueError when there is no source, or a single camera where cameras are domains.
        """
        from metabin.data.images import cameras_as_domains, relabel
        from metabin.datasets.load import load_images

        if not self.sources:
            raise ValueError(
                f"protocol {self.run.protocol!r} has no source to train on. {self.why_missing}"
            )
        images = relabel(load_images(self.sources, self.size, self.cache))
        return cameras_as_domains(images) if self.run.cameras else images

    def target(
        self, listing: Listing, splits: Sequence[Split], origin: str, camera_rule: bool = True
    ) -> Target:
        return Target(listing, tuple(splits), origin, self.size, self.cache, camera_rule)

    def add_target(self, listing: Listing) -> None:
        """Test on drawn splits of the set, or on its own query and gallery; or say why not."""
        if listing.name not in DESIGNS:
            self.add_divided(listing)
            return
        try:
            self.tests[listing.name] = self.target(listing, *splits_of(listing))
        except (ValueError, OSError) as error:
            self.missing[listing.name] = str(error)

    def add_divided(self, listing: Listing, camera_rule: bool = True) -> None:
        """Test on the set's own query and gallery; or say why not."""
        name, listing = listing.name, listing.part("query", "gallery")
        split = Split([], [])
        for row, picture in enumerate(listing.pictures):
            getattr(split, picture.part).append(row)
        reason = "there is no query and gallery to test on"
        if split.query and split.gallery:
            reason = obstacle(listing, camera_rule)
        if reason:
            self.missing[name] = reason
            return
        origin = "the set's own query and gallery"
        self.tests[name] = self.target(listing, [split], origin, camera_rule)
        remarks = unmatched_remarks(listing, camera_rule)
        if not camera_rule:
            remarks.append(
                "tested without the camera rule, pictures from a query's own camera count: easier, "
                "not to be compared with results under the rule"
            )
        self.remarks += [f"{name}: {remark}" for remark in remarks]

    def add_source(self, listing: Listing, held_out: int) -> None:
        """Learn from the run's parts of the set but for held-out persons; or say why not."""
        name, parts = listing.name, self.run.parts
        if parts == TRAIN and SETS[name].lacks_division(listing):
            num_ids = len(listing.ids)
            self.remarks.append(f"{name}: not divided, all its {num_ids:,} persons are learnt from")
        listing = listing.part(*parts).people()
        if not len(listing):
            what = f"pictures to learn from ({', '.join(parts)})"
            self.missing[name] = f"{listing.root} has no {what}"
            return
        if held_out:
            listing, kept, split = hold_out(listing, held_out)
            self.validation[name] = self.target(kept, [split], f"{held_out} persons held out")
        self.sources.append(listing)


def open_protocol(
    run: str | ProtocolRun,
    data_root: Path | str,
    size: Size = (256, 128),
    cache: Path | str | None = None,
    held_out: int = 0,
    opt_in: Sequence[str] = (),
) -> OpenProtocol:
    """Find a protocol's sets under `data_root` and read its splits; no picture is decoded yet.

    `run` is a protocol's name, or `protocol_run(name, target)`, or a run of your own.
    `held_out` persons of each source are kept out of training, to choose a model by. Sets with a
    notice are read only if `opt_in` names them. A set that can't be read, or whose splits don't
    fit, is among the missing ones; one with other counts than a complete copy is remarked.
    Raises ValueError for an unknown name and FileNotFoundError without the folder.
    """
    run = protocol_run(run) if isinstance(run, str) else run
    root = Path(data_root).expanduser()
    if problem := no_folder(root):
        raise FileNotFoundError(problem)
    protocol = OpenProtocol(run, size, None if cache is None else Path(cache).expanduser())
    listings = {}
    for name in dict.fromkeys(run.sources + run.targets):
        dataset = SETS[name]
        if dataset.opt_in and name not in opt_in:
            protocol.missing[name] = f"read only on request (--opt-in {name}): {dataset.notice}"
            continue
        try:
            listings[name] = listing = dataset.read(root)
        except (ValueError, OSError, ImportError) as error:
            protocol.missing[name] = str(error)
            continue
        lines = [*listing.remarks, *dataset.miscounts(listing)]
        protocol.remarks += [f"{name}: {line}" for line in lines]
    for name, listing in listings.items():
        if name in run.targets:
            protocol.add_target(listing)
        if name in run.sources:
            protocol.add_source(listing, held_out)
    return protocol
