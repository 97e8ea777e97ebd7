"""CUHK-SYSU (Xiao et al., CVPR 2017): whole scenes `Image/SSM/s1.jpg`, and who stands where in `annotation/Person.mat`.

Each entry of `Person` has `idname` ("p1" …) and, per scene, `imname` and `idlocate` = (x, y, width, height). The set's
readme cuts a person out in MATLAB as I(y : y + height, x : x + width): counted from 1, both ends within.
Where the scenes are not there, persons that somebody has cut out already are read: `cropped_images/p11422_s16929_1.jpg`,
or with MATLAB `cropped_image/p00001_n01_s00015_hard0.png`: person and scene.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from metabin.datasets.folders import (
    has_pictures,
    list_pictures,
    picture_files,
    warn_left_out,
    whole,
    within,
)
from metabin.datasets.listing import Listing, Picture

NAME = r"p(\d+)_(?:s\d+_\d+|n\d+_s\d+_hard\d)"
CROPPED = ("cropped_images", "cropped_image")


def list_cuhksysu(folder: Path) -> Listing | None:
    """Everything is "train"; None when the folder isn't CUHK-SYSU's.

    Scenes come from moving cameras and films, so a picture's place among its person's stands in for the camera.
    """
    annotation, scenes = within(folder, "annotation/Person.mat"), within(folder, "Image/SSM")
    if annotation.is_file() and scenes.is_dir():
        return Listing("cuhksysu", folder, tuple(boxes(annotation, scenes)))
    place = next(
        (place for name in CROPPED if has_pictures(place := within(folder, name), NAME)), None
    )
    if place is None:
        return None
    pictures, so_far = [], Counter()
    for file, match in list_pictures(place, NAME):
        pid = int(match[1]) - 1
        pictures.append(Picture(file, pid, so_far[pid], "train"))
        so_far[pid] += 1
    return Listing("cuhksysu", place, tuple(pictures))


def boxes(annotation: Path, scenes: Path) -> Iterator[Picture]:
    """Every person in every scene. Scenes that are missing are left out with a warning.

    Raises ValueError when the annotation can't be read.
    """
    with whole(annotation):
        people = [
            (
                int(str(person["idname"]).removeprefix("p")),
                number,
                str(scene["imname"]),
                [*map(int, scene["idlocate"])],
            )
            for person in np.atleast_1d(loadmat(annotation, squeeze_me=True)["Person"])
            for number, scene in enumerate(np.atleast_1d(person["scene"]))
        ]
    there = {file.name for file in picture_files(scenes)}
    for person, number, name, (x, y, width, height) in people:
        if name in there:
            yield Picture(
                scenes / name,
                person - 1,
                number,
                "train",
                box=(x - 1, y - 1, x + width, y + height),
            )
    if missing := [name for _, _, name, _ in people if name not in there]:
        warn_left_out(scenes, "persons whose scene is missing", missing)
