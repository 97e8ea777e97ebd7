"""PRID 2011, single shot (Hirzer et al., SCIA 2011): `cam_a/person_0001.png` and `cam_b/person_0001.png`.

Both cameras saw only the first 200 persons: person 201 of camera a is somebody else than person 201 of camera b.
"""

from pathlib import Path

from metabin.datasets.folders import list_places, within
from metabin.datasets.listing import Listing, Picture

NAME = r"person_(\d+)"
SHARED = 200
CAMERA_B = 749


def list_prid(folder: Path) -> Listing | None:
    """Camera a is the query, camera b the gallery: pids 0 … 748 as camera b counts, then who only camera a saw.

    Takes `single_shot` or the folder above it. None when the folder isn't PRID's.
    """
    cameras = list_places(folder, ("cam_a", "cam_b"), NAME)
    if cameras is None:
        below = within(folder, "single_shot")
        return list_prid(below) if below.is_dir() else None
    pictures = []
    for camid, (part, found) in enumerate(zip(("query", "gallery"), cameras, strict=True)):
        for file, match in found:
            number = int(match[1])
            only_a = part == "query" and number > SHARED
            pid = number - 1 - SHARED + CAMERA_B if only_a else number - 1
            pictures.append(Picture(file, pid, camid, part))
    return Listing("prid", folder, tuple(pictures))
