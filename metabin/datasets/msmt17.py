"""MSMT17 (Wei et al., CVPR 2018): `train/0000/0000_000_01_0303morning_0015_0.jpg`, and lists.

That is person 0, picture 0, camera 1. A line of `list_train.txt` has the path below `train` and
the person. The second release calls the folders `mask_train_v2` and `mask_test_v2` and blurs faces.
"""

import os
import re
from pathlib import Path

from metabin.datasets.folders import (
    count_names,
    files_of,
    naming,
    original_stem,
    subfolders,
    within,
)
from metabin.datasets.listing import Listing, Picture

LISTS = {
    "list_train.txt": "train",
    "list_val.txt": "train",
    "list_query.txt": "query",
    "list_gallery.txt": "gallery",
}
RELEASES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
LINE = r"(?:.*/)?\d+_\d+_(\d+)_[^/]*"
TRAIN_IDS = 1041  # persons of the test part are numbered from 0 again


def list_msmt17(root: Path) -> Listing | None:
    """Training and validation lists are "train", as is usual across domains.

    Returns None when the folder isn't MSMT17's; pictures that are in a list and not on the disk
    are remarked. Raises FileNotFoundError when lists are missing and ValueError when nothing of a
    list is there.
    """
    for train, test in RELEASES:
        folders = {"train": within(root, train), "query": within(root, test)}
        if folders["train"].is_dir():
            break
    else:
        return None
    missing = [name for name in LISTS if not within(root, name).is_file()]
    if "list_train.txt" in missing and not holds_pictures(folders["train"]):
        return None
    if missing:
        raise FileNotFoundError(
            f"{root} lacks {', '.join(missing)}: the set's archive has the lists beside its folders"
        )
    folders["gallery"] = folders["query"]
    files = {folder: files_below(folder) for folder in set(folders.values())}
    pictures, remarks = [], []
    for name, part in LISTS.items():
        folder, first = folders[part], 0 if part == "train" else TRAIN_IDS
        lines, missing = read_list(within(root, name), folder.name), []
        for path, pid, camid in lines:
            file = files[folder].get(plain_path(path))
            if file is None:
                missing.append(path)
            else:
                pictures.append(Picture(file, first + pid, camid, part))
        if lines and len(missing) == len(lines):
            raise ValueError(
                f"none of the pictures of {root / name} is in {folder}, e.g. {missing[0]}"
            )
        what = f"pictures of {name} that are missing in {folder.name}"
        remarks += count_names(root, "left out", what, missing)
    return Listing("msmt17", root, tuple(pictures), remarks=tuple(remarks))


def holds_pictures(folder: Path) -> bool:
    """Whether the first person's folder holds a picture of this set."""
    for person in subfolders(folder)[:1]:
        return any(re.fullmatch(LINE, file.name) for file in files_of(person))
    return False


def files_below(folder: Path) -> dict[str, Path]:
    """Every file below a folder by its `plain_path`."""
    files = {}
    for top, _, names in os.walk(folder, followlinks=True):
        for name in sorted(names, key=len, reverse=True):  # `a.jpg` replaces `a (1).jpg`
            file = Path(top, name)
            files[plain_path(str(file.relative_to(folder)))] = file
    return files


def plain_path(path: str) -> str:
    """A path without suffixes and case, as it was before a copy tool changed it."""
    above, _, name = path.replace("\\", "/").rpartition("/")
    return f"{above}/{original_stem(name)}".lower()


def read_list(file: Path, folder: str) -> list[tuple[str, int, int]]:
    """Path below `folder`, person and camera (both from 0) of each line of a list.

    Some lists name the folder as well. Raises ValueError naming a line of another form.
    """
    prefix = re.compile(rf"(?:\./)?(?:(?:train|test|{re.escape(folder)})/)?", re.IGNORECASE)
    with naming(file):
        text = file.read_text(encoding="utf-8")
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        path, _, pid = line.strip().rpartition(" ")
        match = re.fullmatch(LINE, path)
        if not match or not pid.isdecimal():
            raise ValueError(
                f"{file}, line {number}: expected a path and a person's number, got {line!r}"
            )
        lines.append((path[prefix.match(path).end() :], int(pid), int(match[1]) - 1))
    return lines
