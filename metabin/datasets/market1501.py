"""The layout of Market-1501 (Zheng et al., ICCV 2015): three folders of pictures named `0002_c1s1_000451_03.jpg`.

That is person 2, camera 1, sequence 1, frame 451, box 3. Person -1 is junk, person 0000 a distractor.
DukeMTMC-reID (`0001_c2_f0046182.jpg`) and CUHK03-NP (`0001_c1_1.png`) have the same folders.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from metabin.data.images import ImageSet
from metabin.datasets.folders import has_pictures, list_pictures, within
from metabin.datasets.listing import PARTS, Listing, Picture
from metabin.datasets.load import load_images

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
NAME = r"(-1|\d+)_c(\d+)s\d+_\d+_\d+"
DUKE_NAME = r"(\d+)_c(\d+)_f\d+"
NP_NAME = r"(\d+)_c(\d+)_\d+"
ANY_NAME = rf"{NAME}|{DUKE_NAME}|{NP_NAME}"


def list_market1501(folder: Path) -> Listing | None:
    """Market-1501 from the folder that has its three; None when there is no such picture."""
    return list_layout(folder, NAME, "market1501")


def list_dukemtmc(folder: Path) -> Listing | None:
    """DukeMTMC-reID from the folder that has its three; None when there is no such picture."""
    return list_layout(folder, DUKE_NAME, "dukemtmc")


def list_layout(
    folder: Path, pattern: str, name: str, parts: Sequence[str] = PARTS
) -> Listing | None:
    """The parts in the layout's three folders, as far as they are there; None when none of them is.

    Persons and cameras count from 1 in file names and from 0 here. Junk is left out and counted.
    A folder that is missing or empty beside others is warned of.
    """
    places = {part: within(folder, FOLDERS[part]) for part in parts}
    there = [part for part in parts if has_pictures(places[part], pattern)]
    if not there:
        return None
    pictures, junk = [], 0
    for part, place in places.items():
        if part not in there:
            warnings.warn(f"{place} is missing or holds no picture of the set", stacklevel=2)
            continue
        rows = numbers(place, pattern)
        if part != "gallery" and any(pid == 0 for _, pid, _ in rows):
            raise ValueError(
                f"{place}: person 0000 means a distractor here; number people from 0001"
            )
        pictures += [
            Picture(file, pid - 1, camera - 1, part) for file, pid, camera in rows if pid >= 0
        ]
        junk += sum(pid < 0 for _, pid, _ in rows)
    return Listing(
        name, folder, tuple(pictures), {"junk pictures (person -1)": junk} if junk else {}
    )


def numbers(folder: Path, pattern: str) -> list[tuple[Path, int, int]]:
    """File, person and camera as the names of a folder's pictures say."""
    found = [
        (file, [group for group in match.groups() if group])
        for file, match in list_pictures(folder, pattern)
    ]
    return [(file, int(pid), int(camera)) for file, (pid, camera) in found]


def read_market1501(
    root: Path | str,
    size: tuple[int, int] = (256, 128),
    parts: Sequence[str] = PARTS,
    name: str = "market1501",
) -> tuple[ImageSet, ...]:
    """Read the parts that are asked for, in that order, at `size` = (H, W); one domain called `name`.

    Junk is left out; a distractor has pid -1, which no query has.
    Raises FileNotFoundError when a part's folder is missing, ValueError when it holds no such pictures.
    """
    root, sets = Path(root), []
    for part in parts:
        if part not in FOLDERS:
            raise ValueError(f"no part {part!r}: choose from {', '.join(FOLDERS)}")
        folder = within(root, FOLDERS[part])
        if not folder.is_dir():
            layout = ", ".join(f"{place}/" for place in FOLDERS.values())
            raise FileNotFoundError(
                f"{folder} is missing: expected the folders {layout} in {root}, as Market-1501 has"
            )
        listing = list_layout(root, NAME, name, (part,))
        if listing is None:
            raise ValueError(f"{folder} holds no picture named like 0002_c1s1_000451_03.jpg")
        sets.append(load_images(listing, size))
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
    for number, (pid, camid) in enumerate(
        zip(images.pids.tolist(), images.camids.tolist(), strict=True)
    ):
        file = folder / f"{pid + 1:04d}_c{camid + 1}s1_{number:06d}_00.jpg"
        Image.fromarray(pictures[number]).save(file, quality=95, subsampling=0)
