"""The five sets whose files alone say everything: VIPeR, PRID 2011, GRID, i-LIDS and CUHK02.

VIPeR (Gray et al., PETS 2007): a picture of each person by each camera, `cam_a/000_45.bmp`; the
second number is the angle of view. Persons count from 0, with gaps.
PRID 2011, single shot (Hirzer et al., SCIA 2011): `cam_a/person_0001.png`. Both cameras saw only
the first 200 persons: person 201 of camera a is somebody else than person 201 of camera b.
GRID (Loy et al., CVPR 2009): `probe/0001_1_25004_107_32_106_221.jpeg` is person 1, camera 1, then
frame and box. Person 0000 of the gallery is a distractor: 775 of them.
i-LIDS (Zheng et al., BMVC 2009): `Persons/0001001.jpg`, four digits for the person, three for the
image. No camera is told, so the image's number stands in: the camera rule then drops nothing.
CUHK02 (Li and Wang, CVPR 2013): `P1/cam1/001_045.png`, five pairs of cameras with persons of
their own, numbered from 1.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from metabin.datasets.folders import match_pictures, within
from metabin.datasets.listing import Listing, Picture

PRID_SHARED = 200
PRID_CAMERA_B = 749  # persons whom camera b saw
CUHK02_PERSONS = 1000  # more than any pair of cameras has: pids of pair p are p * 1000 …


def from_one(number: int, camera: int) -> int:
    return number - 1


def from_zero(number: int, camera: int) -> int:
    return number


def prid_person(number: int, camera: int) -> int:
    """Persons 0 … 748 as camera b counts them, then those whom only camera a saw."""
    only_in_a = camera == 0 and number > PRID_SHARED
    return number - 1 + (PRID_CAMERA_B - PRID_SHARED if only_in_a else 0)


def cuhk02_person(number: int, camera: int) -> int:
    return CUHK02_PERSONS * (camera // 2) + number - 1


class Layout(NamedTuple):
    """Folders with the part that each holds, and the pattern of a name.

    The pattern has a group `person` and, where names tell it, a group `camera`, which counts from
    1; elsewhere a folder is a camera. `pid` makes the person's number of that in the name and of
    the folder's place in the row. `roots` are folders that may lie above, the first that fits.
    """

    folders: tuple[tuple[str, str], ...]
    pattern: str
    pid: Callable[[int, int], int] = from_one
    roots: tuple[str, ...] = ("",)


TWO_CAMERAS = (("cam_a", "query"), ("cam_b", "gallery"))
FIVE_PAIRS = tuple((f"P{1 + i // 2}/cam{1 + i % 2}", "train") for i in range(10))
LAYOUTS = {
    "viper": Layout(TWO_CAMERAS, r"(?P<person>\d+)_\d+", from_zero),
    "prid": Layout(TWO_CAMERAS, r"person_(?P<person>\d+)", prid_person, roots=("", "single_shot")),
    "grid": Layout(
        (("probe", "query"), ("gallery", "gallery")),
        r"(?P<person>\d{4})_(?P<camera>\d+)_[^\s().]+",
    ),
    "ilids": Layout(
        (("", "gallery"),),
        r"(?P<person>\d{4})(?P<camera>\d{3})",
        roots=("Persons", "images", ""),
    ),
    "cuhk02": Layout(FIVE_PAIRS, r"(?P<person>\d+)_[^\s().]+", cuhk02_person),
}


def list_small_set(name: str, folder: Path) -> Listing | None:
    """The set of that name in `LAYOUTS`; None when the folder holds no such pictures.

    Raises FileNotFoundError when folders are missing or empty beside others.
    """
    layout = LAYOUTS[name]
    for root in (within(folder, path) for path in layout.roots):
        pictures, remarks, missing = [], [], []
        for camera, (subfolder, part) in enumerate(layout.folders):
            rows, more = match_pictures(within(root, subfolder), layout.pattern)
            remarks += more
            missing += [] if rows else [subfolder]
            for file, match in rows:
                groups = match.groupdict()
                camid = int(groups["camera"]) - 1 if "camera" in groups else camera
                pid = layout.pid(int(groups["person"]), camera)
                pictures.append(Picture(file, pid, camid, part))
        if pictures and missing:
            raise FileNotFoundError(f"{root} lacks pictures in {', '.join(missing)}")
        if pictures:
            return Listing(name, root, tuple(pictures), remarks=tuple(remarks))
    return None
