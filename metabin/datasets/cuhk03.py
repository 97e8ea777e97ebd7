"""CUHK03 (Li et al., CVPR 2014), the detected boxes, as extracted, as released, or as CUHK03-NP.

- `images_detected/1_001_2_06.png`: pair of cameras 1, its person 1, view 2, column 6. Users
  extract these themselves.
- `cuhk-03.mat` (HDF5, `cuhk03_release`): per pair of cameras a cell array of persons by ten
  columns; columns 1-5 are view 1.
- `detected/bounding_box_train/0001_c1_1.png`, `query`, `bounding_box_test`: CUHK03-NP, which Zhong
  et al. (CVPR 2017) divided into 767 and 700 persons and renumbered.

The first two hold no division; `cuhk03_new_protocol_config_detected.mat` beside them has that of
the third.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from metabin.datasets.folders import match_pictures, naming, original_stem, within
from metabin.datasets.listing import PARTS, Listing, Picture
from metabin.datasets.market1501 import NP_NAME, list_layout

NAME = r"([1-5])_(\d{3})_([12])_(\d+)"
DIVISION = "cuhk03_new_protocol_config_detected.mat"
PERSONS = 1000  # more than any pair of cameras has: pids of pair p are p * 1000 …
COLUMNS_PER_VIEW = 5


def list_cuhk03(folder: Path) -> Listing | None:
    """Everything is "train", unless a division into 767 and 700 persons lies there.

    Returns None when the folder isn't CUHK03's.
    """
    images, mat = within(folder, "images_detected"), within(folder, "cuhk-03.mat")
    rows, remarks = match_pictures(images, NAME)
    if rows:
        pictures = [extracted(file, *map(int, match.groups())) for file, match in rows]
        return divide(Listing("cuhk03", folder, tuple(pictures), remarks=tuple(remarks)))
    if mat.is_file():
        return divide(Listing("cuhk03", folder, tuple(packed(mat))))
    return list_layout(within(folder, "detected"), "cuhk03", NP_NAME)


def extracted(file: Path, pair: int, person: int, view: int, column: int) -> Picture:
    return Picture(file, PERSONS * (pair - 1) + person - 1, 2 * (pair - 1) + view - 1, "train")


def packed(file: Path) -> Iterator[Picture]:
    """The pictures in the HDF5 file; `inside` is "detected/pair/column/person", counted from 0.

    Raises ImportError without h5py and ValueError when the file can't be read.
    """
    with open_hdf5(file) as mat:
        for pair, cell in enumerate(mat["detected"][0]):
            images = mat[cell][()]  # (columns, persons): MATLAB's arrays lie transposed
            for person, column in np.ndindex(images.T.shape):
                if mat[images[column, person]].ndim != 3:
                    continue  # an empty cell, which is stored as its two sizes
                pid, camid = PERSONS * pair + person, 2 * pair + column // COLUMNS_PER_VIEW
                inside = f"detected/{pair}/{column}/{person}"
                yield Picture(file, pid, camid, "train", inside=inside)


def read_inside(file: Path, inside: str) -> np.ndarray:
    """The picture that a Picture's `inside` names, (H, W, 3) uint8."""
    kind, pair, column, person = inside.split("/")
    with open_hdf5(file) as mat:
        image = mat[mat[mat[kind][0, int(pair)]][int(column), int(person)]]  # (3, W, H)
        return image[()].T  # (H, W, 3)


@contextmanager
def open_hdf5(file: Path) -> Iterator:
    """The opened file.

    Raises ImportError without h5py and ValueError where the file is damaged or another one.
    """
    try:
        import h5py
    except ImportError:
        message = f"reading {file.name} needs h5py: pip install h5py, or extract its images first"
        raise ImportError(message) from None
    with naming(file), h5py.File(file) as mat:
        yield mat


def divide(listing: Listing) -> Listing:
    """The listing in its parts, if the file with the division lies in its folder or above it."""
    files = [within(folder, DIVISION) for folder in (listing.root, listing.root.parent)]
    file = next(filter(Path.is_file, files), None)
    if file is None:
        return listing
    from scipy.io import loadmat  # takes a third of a second to import

    parts = {}  # name of an extracted image -> part
    with naming(file):
        config = loadmat(file, squeeze_me=True)
        names = [Path(str(name)).stem for name in np.atleast_1d(config["filelist"])]
        for part in PARTS:
            for number in np.atleast_1d(config[f"{part}_idx"]):
                parts[names[int(number) - 1]] = part
    divided = []
    for picture in listing.pictures:
        if part := parts.get(name_of(picture)):
            divided.append(picture._replace(part=part))
    unnamed = len(listing) - len(divided)
    left_out = (f"{unnamed:,} pictures that {DIVISION} doesn't name",) if unnamed else ()
    return replace(listing, pictures=tuple(divided), left_out=left_out)


def name_of(picture: Picture) -> str:
    """The picture's name among the extracted images, without its suffix."""
    if picture.inside is None:
        return original_stem(picture.file.name)
    pair, column, person = (int(number) for number in picture.inside.split("/")[1:])
    return f"{pair + 1}_{person + 1:03d}_{column // COLUMNS_PER_VIEW + 1}_{column + 1:02d}"
