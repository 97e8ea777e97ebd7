"""CUHK-SYSU (Xiao et al., CVPR 2017): scenes `Image/SSM/s1.jpg`, and who stands where in them.

`annotation/Person.mat` has an entry of `Person` per person: `idname` ("p1" …) and, per scene,
`imname` and `idlocate` = (x, y, width, height). The set's readme cuts a person out in MATLAB as
I(y : y + height, x : x + width): counted from 1, both ends within.
Without the scenes, persons that somebody cut out already are read:
`cropped_images/p11422_s16929_1.jpg`, or by MATLAB `cropped_image/p00001_n01_s00015_hard0.png`.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from metabin.datasets.folders import (
    count_names,
    files_of,
    match_pictures,
    naming,
    original_stem,
    within,
)
from metabin.datasets.listing import Listing, Picture

NAME = r"p(\d+)_(?:s\d+_\d+|n\d+_s\d+_hard\d)"
CROPPED = ("cropped_images", "cropped_image")


def list_cuhksysu(folder: Path) -> Listing | None:
    """Everything is "train"; None when the folder isn't CUHK-SYSU's.

    Scenes come from moving cameras and films, so the number of a person's picture stands in for
    the camera.
    """
    annotation, scenes = within(folder, "annotation/Person.mat"), within(folder, "Image/SSM")
    if annotation.is_file() and scenes.is_dir():
        return list_scenes(folder, annotation, scenes)
    for name in CROPPED:
        cropped = within(folder, name)
        rows, remarks = match_pictures(cropped, NAME)
        pictures, count = [], Counter()
        for file, match in rows:
            pid = int(match[1]) - 1
            pictures.append(Picture(file, pid, count[pid], "train"))
            count[pid] += 1
        if pictures:
            return Listing("cuhksysu", cropped, tuple(pictures), remarks=tuple(remarks))
    return None


def list_scenes(folder: Path, annotation: Path, scenes: Path) -> Listing:
    """Every person in every scene; missing scenes are remarked.

    Raises ValueError when the annotation can't be read.
    """
    longest_first = sorted(files_of(scenes), key=lambda file: -len(file.name))
    files = {original_stem(f.name): f for f in longest_first}  # `a.jpg` replaces `a (1).jpg`
    pictures, missing = [], []
    for pid, camid, name, (x, y, width, height) in read_boxes(annotation):
        file = files.get(original_stem(name))
        if file is None:
            missing.append(name)
            continue
        box = (x - 1, y - 1, x + width, y + height)
        pictures.append(Picture(file, pid, camid, "train", box=box))
    remarks = count_names(scenes, "left out", "persons whose scene is missing", missing)
    return Listing("cuhksysu", folder, tuple(pictures), remarks=tuple(remarks))


def read_boxes(annotation: Path) -> list[tuple[int, int, str, list[int]]]:
    """Person, number of the person's picture (both from 0), scene and (x, y, width, height)."""
    from scipy.io import loadmat  # takes a third of a second to import

    boxes = []
    with naming(annotation):
        for person in np.atleast_1d(loadmat(annotation, squeeze_me=True)["Person"]):
            pid = int(str(person["idname"]).removeprefix("p")) - 1
            for number, scene in enumerate(np.atleast_1d(person["scene"])):
                box = [int(value) for value in scene["idlocate"]]
                boxes.append((pid, number, str(scene["imname"]), box))
    return boxes
