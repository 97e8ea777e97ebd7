"""The layout of Market-1501 (Zheng et al., ICCV 2015): three folders of pictures named `0002_c1s1_000451_03.jpg`.

That is person 2, camera 1, sequence 1, frame 451, box 3. Person -1 is junk, person 0000 a distractor.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from metabin.datasets.folders import decode, list_pictures
from metabin.images import ImageSet

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
NAME = r"(-1|\d+)_c(\d+)s\d+_\d+_\d+"


def read_market1501(
    root: Path | str,
    size: tuple[int, int] = (256, 128),
    parts: Sequence[str] = ("train", "query", "gallery"),
    name: str = "market1501",
) -> tuple[ImageSet, ...]:
    """Read the parts that are asked for, in that order, at `size` = (H, W); one domain called `name`.

    Persons and cameras count from 1 in file names and from 0 here. Junk is left out; a distractor has pid -1, which no
    query has. Raises FileNotFoundError when a part's folder is missing, ValueError when it holds no such pictures.
    """
    root, sets = Path(root), []
    for part in parts:
        if part not in FOLDERS:
            raise ValueError(f"no part {part!r}: choose from {', '.join(FOLDERS)}")
        folder = root / FOLDERS[part]
        if not folder.is_dir():
            layout = ", ".join(f"{place}/" for place in FOLDERS.values())
            raise FileNotFoundError(f"{folder} is missing: expected the folders {layout} in {root}, as Market-1501 has")
        found = [(file, int(match[1]), int(match[2])) for file, match in list_pictures(folder, NAME)]
        files, pids, camids = zip(*(row for row in found if row[1] >= 0), strict=True)
        labels = torch.tensor([pids, camids]) - 1  # (2, N)
        sets.append(ImageSet(decode(files, size), labels[0], labels[1], torch.zeros_like(labels[0]), (name,)))
    return tuple(sets)


def write_market1501(images: ImageSet, root: Path | str, part: str = "train") -> None:
    """Write images as one part of the layout: JPEGs of quality 95 named by pid + 1, camid + 1 and a running number.

    Domains are not kept: write each to a root of its own. Raises ValueError when the folder holds pictures already.
    """
    folder = Path(root) / FOLDERS[part]
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give another root, or empty it first")
    pictures = images.images.permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, 3)
    for number, (pid, camid) in enumerate(zip(images.pids.tolist(), images.camids.tolist(), strict=True)):
        file = folder / f"{pid + 1:04d}_c{camid + 1}s1_{number:06d}_00.jpg"
        Image.fromarray(pictures[number]).save(file, quality=95, subsampling=0)
