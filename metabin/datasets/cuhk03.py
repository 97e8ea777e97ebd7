"""CUHK03 (Li et al., CVPR 2014), the detected boxes, in one of three forms: extracted, as released, or as CUHK03-NP.

- `images_detected/1_001_2_06.png`: pair of cameras 1, its person 1, view 2, column 6. Users extract these themselves.
- `cuhk-03.mat` (HDF5, `cuhk03_release`): per pair a cell array of persons by ten columns; columns 1-5 are view 1.
- `detected/bounding_box_train/0001_c1_1.png`, `query`, `bounding_box_test`: CUHK03-NP, which Zhong et al. (CVPR 2017)
  divided into 767 and 700 persons and renumbered.

The first two hold no division; `cuhk03_new_protocol_config_detected.mat` beside them tells that of the third.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from metabin.datasets.folders import has_pictures, list_pictures, whole, within
from metabin.datasets.listing import PARTS, Listing, Picture
from metabin.datasets.market1501 import NP_NAME, list_layout

NAME = r"([1-5])_(\d{3})_([12])_(\d+)"
DIVISION = "cuhk03_new_protocol_config_detected.mat"
PERSONS = 1000  # more than any pair of cameras has: pids of pair p are p * 1000 …
COLUMNS_PER_VIEW = 5


def list_cuhk03(folder: Path) -> Listing | None:
    """Everything is "train" unless the folder tells the 767/700 division. None when it isn't CUHK03's."""
    if has_pictures(images := within(folder, "images_detected"), NAME):
        return divide(Listing("cuhk03", folder, tuple(extracted(images))))
    if (mat := within(folder, "cuhk-03.mat")).is_file():
        return divide(Listing("cuhk03", folder, tuple(packed(mat))))
    return list_layout(within(folder, "detected"), NP_NAME, "cuhk03")


def extracted(folder: Path) -> Iterator[Picture]:
    for file, match in list_pictures(folder, NAME):
        pair, person, view, _ = (int(number) for number in match.groups())
        yield Picture(file, PERSONS * (pair - 1) + person - 1, 2 * (pair - 1) + view - 1, "train")


def packed(file: Path) -> Iterator[Picture]:
    """The pictures inside the HDF5 file, `inside` = "detected/pair/column/person", counted from 0.

    Raises ImportError without h5py and ValueError when the file can't be read.
    """
    with open_hdf5(file) as mat:
        for pair, cell in enumerate(mat["detected"][0]):
            images = mat[cell][()]  # (columns, persons): MATLAB's arrays lie transposed
            for person in range(images.shape[1]):
                for column in range(images.shape[0]):
                    if (
                        mat[images[column, person]].ndim == 3
                    ):  # an empty cell is stored as its two sizes
                        pid, camid = PERSONS * pair + person, 2 * pair + column // COLUMNS_PER_VIEW
                        yield Picture(
                            file, pid, camid, "train", inside=f"detected/{pair}/{column}/{person}"
                        )


def read_inside(file: Path, inside: str) -> np.ndarray:
    """The picture that a Picture's `inside` names, (H, W, 3) uint8."""
    kind, pair, column, person = inside.split("/")
    with open_hdf5(file) as mat:
        image = mat[mat[mat[kind][0, int(pair)]][int(column), int(person)]]  # (3, W, H)
        return image[()].T  # (H, W, 3)


@contextmanager
def open_hdf5(file: Path) -> Iterator:
    """The opened file. Raises ImportError without h5py and ValueError where the file is damaged or another one."""
    try:
        import h5py
    except ImportError:
        raise ImportError(
            f"reading {file.name} needs h5py: pip install h5py, or extract its images first"
        ) from None
    with whole(file), h5py.File(file) as mat:
        yield mat


def divide(listing: Listing) -> Listing:
    """The listing in its parts, if the file with the division lies in its folder or the one above."""
    places = [within(place, DIVISION) for place in (listing.root, listing.root.parent)]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        return listing
    with whole(file):
        config = loadmat(file, squeeze_me=True)
        names = [Path(str(name)).stem for name in np.atleast_1d(config["filelist"])]
        parts = {
            names[int(number) - 1]: part
            for part in PARTS
            for number in np.atleast_1d(config[f"{part}_idx"])
        }
    divided = [(picture, parts.get(stem(picture))) for picture in listing.pictures]
    kept = tuple(picture._replace(part=part) for picture, part in divided if part)
    unnamed = len(divided) - len(kept)
    left_out = {f"pictures that {DIVISION} doesn't name": unnamed} if unnamed else {}
    return replace(listing, pictures=kept, left_out=left_out)


def stem(picture: Picture) -> str:
    """The picture's name among the extracted images."""
    if picture.inside is None:
        return picture.file.stem
    pair, column, person = (int(number) for number in picture.inside.split("/")[1:])
    return f"{pair + 1}_{person + 1:03d}_{column // COLUMNS_PER_VIEW + 1}_{column + 1:02d}"
