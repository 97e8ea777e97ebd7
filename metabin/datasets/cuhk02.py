"""CUHK02 (Li and Wang, CVPR 2013): five pairs of cameras, `P1/cam1/001_045.png` … `P5/cam2/…`.

The first number is the person; each pair has persons of its own, numbered from 1.
"""

from pathlib import Path

from metabin.datasets.folders import list_places
from metabin.datasets.listing import Listing, Picture

NAME = r"(\d+)_.+"
PAIRS = 5
PERSONS = 1000  # more than any pair has: pids of pair p are p * 1000 …


def list_cuhk02(folder: Path) -> Listing | None:
    """Everything is "train", from ten cameras. None when the folder isn't CUHK02's."""
    cameras = list_places(
        folder, [f"P{pair}/cam{view}" for pair in range(1, PAIRS + 1) for view in (1, 2)], NAME
    )
    if cameras is None:
        return None
    pictures = [
        Picture(file, PERSONS * (camid // 2) + int(match[1]) - 1, camid, "train")
        for camid, found in enumerate(cameras)
        for file, match in found
    ]
    return Listing("cuhk02", folder, tuple(pictures))
