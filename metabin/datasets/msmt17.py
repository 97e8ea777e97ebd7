"""MSMT17 (Wei et al., CVPR 2018): `train/0000/0000_000_01_0303morning_0015_0.jpg`, and lists of what is what.

That is person 0, picture 0, camera 1. A line of `list_train.txt` gives the path below `train` and the person.
The second release calls the folders `mask_train_v2` and `mask_test_v2` and blurs faces.
"""

import os
import re
from pathlib import Path

from metabin.datasets.folders import warn_left_out, within
from metabin.datasets.listing import Listing, Picture

LISTS = {
    "train": ("list_train.txt", "list_val.txt"),
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
}
RELEASES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
LINE = r"(?:.*/)?\d+_\d+_(\d+)_[^/]*"
TRAIN_IDS = 1041  # persons of the test part are numbered from 0 again


def list_msmt17(folder: Path) -> Listing | None:
    """Training and validation lists together are "train", as usual across domains. None when the folder isn't MSMT17's.

    Pictures that a list names and that aren't there are left out with a warning. Raises FileNotFoundError when lists are
    missing and ValueError when nothing of a list is there.
    """
    release = next(
        (places for r in RELEASES if (places := [within(folder, f) for f in r])[0].is_dir()), None
    )
    if release is None or not within(folder, "list_train.txt").is_file():
        return None
    names = [name for lists in LISTS.values() for name in lists]
    if missing := [name for name in names if not within(folder, name).is_file()]:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}")
    pictures = []
    for part, lists in LISTS.items():
        place, first = (release[0], 0) if part == "train" else (release[1], TRAIN_IDS)
        there = {
            os.path.join(top, name)
            for top, _, names in os.walk(place, followlinks=True)
            for name in names
        }
        for name in lists:
            rows = read_list(within(folder, name), place.name)
            found = [row for row in rows if os.path.join(place, row[0]) in there]
            if rows and not found:
                raise ValueError(
                    f"none of the pictures of {folder / name} is in {place}, e.g. {rows[0][0]}"
                )
            if missing := [path for path, _, _ in rows if os.path.join(place, path) not in there]:
                warn_left_out(
                    folder, f"pictures of {name} that are missing in {place.name}", missing
                )
            pictures += [
                Picture(place / path, first + pid, camid, part) for path, pid, camid in found
            ]
    return Listing("msmt17", folder, tuple(pictures))


def read_list(file: Path, place: str) -> list[tuple[str, int, int]]:
    """Path below the folder `place`, person and camera (from 0) per line: some lists name the folder, too.

    Raises ValueError naming a line of another form.
    """
    rows, prefix = (
        [],
        re.compile(rf"(?:\./)?(?:(?:train|test|{re.escape(place)})/)?", re.IGNORECASE),
    )
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        path, _, pid = line.strip().rpartition(" ")
        match = re.fullmatch(LINE, path)
        if line.strip() and not (match and pid.isdecimal()):
            raise ValueError(
                f"{file}, line {number}: expected a path and a person's number, got {line!r}"
            )
        if match:
            rows.append((path[prefix.match(path).end() :], int(pid), int(match[1]) - 1))
    return rows
