"""QMUL i-LIDS (Zheng et al., BMVC 2009): `Persons/0001001.jpg`, four digits for the person, three for the image.

Which camera took an image isn't told. The image's number stands in: no two images of a person then count as one
camera's, so the camera rule of the evaluation drops nothing.
"""

from pathlib import Path

from metabin.datasets.folders import has_pictures, list_pictures, within
from metabin.datasets.listing import Listing, Picture

NAME = r"(\d{4})(\d{3})"
PLACES = ("Persons", "images", "")


def list_ilids(folder: Path) -> Listing | None:
    """Every picture is "gallery": the protocol draws query and gallery itself. None when the folder isn't i-LIDS'."""
    place = next(
        (place for name in PLACES if has_pictures(place := within(folder, name), NAME)), None
    )
    if place is None:
        return None
    found = list_pictures(place, NAME)
    return Listing(
        "ilids",
        place,
        tuple(Picture(file, int(m[1]) - 1, int(m[2]) - 1, "gallery") for file, m in found),
    )
