"""QMUL GRID (Loy et al., CVPR 2009): `probe/0001_1_25004_107_32_106_221.jpeg` and `gallery/` with the same names.

That is person 1, camera 1, then the frame and the box. Person 0000 of the gallery is a distractor: 775 of them.
"""

from pathlib import Path

from metabin.datasets.folders import list_places
from metabin.datasets.listing import Listing, Picture

NAME = r"(\d{4})_(\d+)_.+"


def list_grid(folder: Path) -> Listing | None:
    """Probes are the query. None when the folder isn't GRID's."""
    places = list_places(folder, ("probe", "gallery"), NAME)
    if places is None:
        return None
    pictures = [
        Picture(file, int(match[1]) - 1, int(match[2]) - 1, part)
        for part, found in zip(("query", "gallery"), places, strict=True)
        for file, match in found
    ]
    return Listing("grid", folder, tuple(pictures))
