"""The layout of Market-1501 (Zheng et al., ICCV 2015), three folders of `0002_c1s1_000451_03.jpg`.

That is person 2, camera 1, sequence 1, frame 451, box 3. Person -1 is junk, person 0000 a
distractor. DukeMTMC-reID (`0001_c2_f0046182.jpg`) and CUHK03-NP (`0001_c1_1.png`) have the same
folders.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from metabin.datasets.folders import match_pictures, within
from metabin.datasets.listing import Listing, Picture

if TYPE_CHECKING:  # readers don't wait for torch
    from metabin.data.images import ImageSet

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MARKET_NAME = r"(-1|\d+)_c(\d+)s\d+_\d+_\d+"
DUKE_NAME = r"(\d+)_c(\d+)_f\d+"
NP_NAME = r"(\d+)_c(\d+)_\d+"
ANY_NAME = r"(-1|\d+)_c(\d+)(?:s\d+_\d+_\d+|_f?\d+)"


def list_layout(
    folder: Path, name: str, pattern: str, folders: Mapping[str, str] = FOLDERS
) -> Listing | None:
    """The layout's three folders, as far as they hold pictures; None when none does.

    `folders` are their names by part. Persons and cameras count from 1 in file names and from 0
    here. Junk is left out and counted. Raises ValueError for a distractor outside the gallery.
    """
    pictures, remarks, junk = [], [], 0
    for part, name_of_part in folders.items():
        rows, more = match_pictures(within(folder, name_of_part), pattern)
        remarks += more
        for file, match in rows:
            pid, camid = int(match[1]) - 1, int(match[2]) - 1
            if pid < -1:
                junk += 1
                continue
            if pid == -1 and part != "gallery":
                raise ValueError(
                    f"{file}: person 0000 means a distractor, which only {folders['gallery']} may "
                    "have; number people from 0001"
                )
            pictures.append(Picture(file, pid, camid, part))
    if not pictures:
        return None
    return Listing(name, folder, tuple(pictures), count_junk(junk), tuple(remarks))


def count_junk(number: int) -> tuple[str, ...]:
    """The line of `Listing.left_out` about junk, if there is some."""
    return (f"{number:,} junk pictures (person -1)",) if number else ()


def write_market1501(images: "ImageSet", root: Path | str, part: str = "train") -> None:
    """Write images as one part of the layout: JPEGs of quality 95.

    Names hold pid + 1, camid + 1 and a running number. Domains are not kept: write each to a root
    of its own. Raises ValueError when the folder holds pictures already.
    """
    folder = Path(root) / FOLDERS[part]
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: give another root, or empty it first")
    pictures = images.images.permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, 3)
    labels = zip(images.pids.tolist(), images.camids.tolist(), strict=True)
    for number, (pid, camid) in enumerate(labels):
        name = f"{pid + 1:04d}_c{camid + 1}s1_{number:06d}_00.jpg"
        Image.fromarray(pictures[number]).save(folder / name, quality=95, subsampling=0)
