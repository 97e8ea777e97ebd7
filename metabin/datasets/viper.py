"""VIPeR (Gray et al., PETS 2007): one picture of each person per camera, `cam_a/000_45.bmp` and `cam_b/000_90.bmp`.

The first number is the person, the second the angle of view. Persons count from 0, with gaps.
"""

from pathlib import Path

from metabin.datasets.folders import list_places
from metabin.datasets.listing import Listing, Picture

NAME = r"(\d+)_\d+"


def list_viper(folder: Path) -> Listing | None:
    """Camera a is the query, camera b the gallery. None when the folder isn't VIPeR's."""
    cameras = list_places(folder, ("cam_a", "cam_b"), NAME)
    if cameras is None:
        return None
    pictures = [
        Picture(file, int(match[1]), camid, part)
        for camid, (part, found) in enumerate(zip(("query", "gallery"), cameras, strict=True))
        for file, match in found
    ]
    return Listing("viper", folder, tuple(pictures))
