"""Drawn people in the folders of six real data sets: the disk that lesson 11 examines."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from metabin.course.lesson import repo_root
from metabin.datasets import write_market1501
from metabin.experiments import lesson_streets
from metabin.experiments.trials import CACHE
from metabin.plotting import to_picture
from metabin.streets import Streets, make_streets

# The street on which a set's people walk, how many they are, and how often each camera sees
# everyone. Streets 0 to 3 are those of the networks' training. Published splits fit complete sets
# alone, so VIPeR and i-LIDS have as many people as the real ones.
SETS = {
    "market1501": (0, 60, 4),
    "cuhk02": (1, 60, 4),
    "cuhk03": (2, 60, 4),
    "cuhksysu": (3, 60, 4),
    "viper": (5, 632, 1),
    "ilids": (6, 119, 2),
}
TARGETS = ("viper", "ilids")
MARKET_TEST = 45  # of our Market-1501, people from this number on are searched


def drawn_people(name: str, height: int = 64) -> Streets:
    """The people of one of SETS, in pictures of height x height / 2 pixels."""
    task = lesson_streets()
    style = task.target_style if name in TARGETS else task.world.style
    world = replace(task.world, style=style, height=height, width=height // 2)
    street, people, pictures = SETS[name]
    return make_streets(world, [street], people, images_per_camera=pictures, cache=CACHE)


def file_of(name: str, pid: int, camid: int, number: int) -> str:
    """Where a set keeps a picture of a person by a camera, all counted from 0."""
    camera = camid + 1
    five, of_five = pid % 5 + 1, pid // 5 + 1  # people are spread over five pairs of cameras
    match name:
        case "cuhk02":
            return f"CUHK02/P{five}/cam{camera}/{of_five:03d}_{10 * camid + number:03d}.png"
        case "cuhk03":
            picture = 5 * camid + number + 1
            return f"CUHK03/images_detected/{five}_{of_five:03d}_{camera}_{picture:02d}.png"
        case "cuhksysu":
            picture = 4 * camid + number + 1
            return f"CUHK-SYSU/cropped_image/p{pid + 1:05d}_n{picture:02d}_s00001_hard0.png"
        case "viper":
            return f"VIPeR/cam_{'ab'[camid]}/{pid:03d}_{45 * camid}.bmp"
        case "ilids":
            return f"i-LIDS_Pedestrian/Persons/{pid + 1:04d}{2 * camid + number + 1:03d}.jpg"
    raise ValueError(f"no file names for {name!r}")


def write_sets(people: Mapping[str, Streets], root: Path) -> None:
    """Store drawn people as the real sets are stored, if they aren't in `root` yet."""
    if root.exists():
        return
    unfinished = root.with_name(f"{root.name}.part")  # it has its name when it is whole
    rmtree(unfinished, ignore_errors=True)
    for name, streets in people.items():
        if name == "market1501":
            _write_market1501(streets, unfinished)
        else:
            _write_set(name, streets, unfinished)
    unfinished.rename(root)


def _write_market1501(streets: Streets, root: Path) -> None:
    first = torch.arange(len(streets)) % SETS["market1501"][2] == 0  # a camera's first of a person
    test = streets.pids >= MARKET_TEST
    for part, rows in {"train": ~test, "query": test & first, "gallery": test}.items():
        write_market1501(streets[rows], root / "Market-1501-v15.09.15", part)


def _write_set(name: str, streets: Streets, root: Path) -> None:
    _, _, pictures = SETS[name]
    labels = zip(streets.pids.tolist(), streets.camids.tolist(), strict=True)
    for i, (pid, camid) in enumerate(labels):
        file = root / file_of(name, pid, camid, i % pictures)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_picture(streets.images[i])).save(file, quality=95)


# ---- where things lie ----------------------------------------------------------------


def work_folder(profile: str) -> Path:
    """Where runs and caches go: this checkout, in the demo a folder that ends with the lesson."""
    return _temporary() if profile == "demo" else repo_root()


def sets_folder(profile: str) -> Path:
    """Where the drawn sets lie; profile "gpu" keeps them, because its runs go on from them."""
    return repo_root() / "build" / "drawn" / "sets" if profile == "gpu" else _temporary() / "sets"


def _temporary() -> Path:
    return Path(_folder().name)


@cache
def _folder() -> TemporaryDirectory:
    return TemporaryDirectory()
