"""MSMT17 (Wei et al., CVPR 2018): `train/0000/0000_000_01_0303morning_0015_0.jpg`, and lists of what is what.

That is person 0, picture 0, camera 1. A line of `list_train.txt` gives the path below `train` and the person.
The second release calls the folders `mask_train_v2` and `mask_test_v2` and blurs faces.
"""

import os
import re
from pathlib import Path

from metabin.datasets.folders import warn_left_out
from metabin.datasets.listing import Listing, Picture

LISTS = {"train": ("list_train.txt", "list_val.txt"), "query": ("list_query.txt",), "gallery": ("list_gallery.txt",)}
RELEASES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
LINE = r"(?:.*/)?\d+_\d+_(\d+)_[^/]*"
TRAIN_IDS = 1041  # persons of the test part are numbered from 0 again


def list_msmt17(folder: Path) -> Listing | None:
    """Training and validation lists together are "train", as usual across domains. None when the folder isn't MSMT17's.

    Pictures that a list names and that aren't there are left out with a warning.
    Raises FileNotFoundError when a list is missing.
    """
    release = next(((folder / a, folder / b) for a, b in RELEASES if (folder / a).is_dir()), None)
    if release is None or not (folder / "list_train.txt").is_file():
        return None
    pictures = []
    for part, lists in LISTS.items():
        place, first = (release[0], 0) if part == "train" else (release[1], TRAIN_IDS)
        there = {os.path.join(top, name) for top, _, names in os.walk(place, followlinks=True) for name in names}
        for name in lists:
            rows = read_list(folder / name)
            found = [row for row in rows if os.path.join(place, row[0]) in there]
            if missing := [path for path, _, _ in rows if os.path.join(place, path) not in there]:
                warn_left_out(folder, f"pictures of {name} that are missing in {place.name}", missing)
            pictures += [Picture(place / path, first + pid, camid, part) for path, pid, camid in found]
    return Listing("msmt17", folder, tuple(pictures))


def read_list(file: Path) -> list[tuple[str, int, int]]:
    """Path, person and camera (from 0) per line. Raises ValueError naming a line of another form."""
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        path, _, pid = line.strip().rpartition(" ")
        match = re.fullmatch(LINE, path)
        if line.strip() and not (match and pid.isdecimal()):
            raise ValueError(f"{file}, line {number}: expected a path and a person's number, got {line!r}")
        if match:
            rows.append((path, int(pid), int(match[1]) - 1))
    return rows
