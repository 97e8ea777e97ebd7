"""The pictures that a training command learns from."""

import argparse
from collections.abc import Callable
from pathlib import Path

from metabin.data.images import ImageSet, cameras_as_domains, relabel
from metabin.datasets import list_own
from metabin.datasets.listing import UNKNOWN_CAMERA
from metabin.datasets.protocols import TRAIN, ProtocolRun, open_protocol, protocol_run
from metabin.runs.flags import duke_changes, setting_of
from metabin.runs.provenance import cache_folder
from metabin.runs.targets import NEEDS_ROOT, NO_HELD_OUT, remarks_on, sets_and_paths
from metabin.streets import World, make_streets

Say = Callable[[str], object]
NEEDS_TRAIN = "Training takes a folder called train, or the rows of a table whose part is train"


def open_images(options: argparse.Namespace, size: tuple[int, int], say: Say = print) -> ImageSet:
    """The images to train on: named sources, people's own folders, or streets.

    Cameras are domains where the setting says so. `say` is told what of the sources is unusual or
    not used, and what each domain holds.
    """
    if options.protocol or options.sources or options.data_root or options.held_out:
        images = _open_sources(options, size, say)
    else:
        images = _draw_streets(size, setting_of(options) != "multi_source")
    for domain, name in enumerate(images.names):
        of_domain = images.domains == domain
        pids, camids = images.pids[of_domain].unique(), images.camids[of_domain].unique()
        cameras = f"{len(camids)} cameras" if UNKNOWN_CAMERA not in camids else "cameras unknown"
        say(f"{name}: {len(pids)} people, {int(of_domain.sum())} pictures, {cameras}")
    return images


def _draw_streets(size: tuple[int, int], cameras: bool) -> ImageSet:
    """Five streets with two cameras each, or one whose eight cameras are domains."""
    streets, num_cameras = (range(1), 8) if cameras else (range(5), 2)
    images = make_streets(World(0, *size), streets, 120, num_cameras, cache=cache_folder())
    images = relabel(images)
    return cameras_as_domains(images) if cameras else images


def _open_sources(options: argparse.Namespace, size: tuple[int, int], say: Say) -> ImageSet:
    """The data sets that the flags name, and people's own pictures beside them."""
    names, paths = sets_and_paths("--sources", options.sources)
    roots = options.data_root or ()
    run = ProtocolRun(names, (), TRAIN, setting_of(options) != "multi_source")
    if options.protocol:
        run = protocol_run(options.protocol, options.target)
        if options.sources:
            run = run._replace(sources=names)
    if run.sources and len(roots) != 1:
        what = "--protocol" if options.protocol else f"--sources {names[0]}"
        raise ValueError(f"{what} {NEEDS_ROOT}")
    if not run.sources and not options.sources:
        paths = roots
    if options.held_out and (paths or not run.sources):
        raise ValueError(NO_HELD_OUT)

    root = roots[0] if run.sources else Path()
    protocol = open_protocol(run, root, size, cache_folder(), options.held_out, options.opt_in)
    for name, reason in protocol.missing.items():
        if name in names:
            raise FileNotFoundError(f"--sources {name}: {reason}")
        say(f"{run.protocol} without {name}: {reason}")
    for path in paths:
        if [other.resolve() for other in paths].count(path.resolve()) > 1:
            raise ValueError(f"{path} is given twice: its people would count as different ones")
        for listing in list_own(path):
            source = listing.part("train").people()
            others = f"{len(listing) - len(source):,} pictures of query and gallery"
            if not len(source):
                raise ValueError(f"{path}: nothing to train on, but {others}. {NEEDS_TRAIN}")
            protocol.sources.append(source)
            protocol.remarks += remarks_on(listing)
            if len(listing) > len(source):
                protocol.remarks.append(f"{listing.name}: {others} are not used")
    for name, value in duke_changes(options).items():
        protocol.remarks.append(f"DukeMTMC-reID is the source: {name} {value}")
    for remark in protocol.remarks:
        say(remark)
    return protocol.train
