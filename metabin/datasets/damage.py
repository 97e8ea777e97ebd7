"""Which pictures of a listing cannot be decoded, by name, with the reason."""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from metabin.datasets.cuhk03 import read_inside
from metabin.datasets.listing import Listing, Picture


def damaged(listing: Listing) -> list[str]:
    """One line per picture that cannot be had whole; a scene is read once for all the persons in it."""
    files = defaultdict(list)
    for picture in listing.pictures:
        files[picture.file].append(picture)
    bar = {
        "total": len(files),
        "desc": f"reading {listing.name}",
        "unit": "file",
        "disable": None,
        "leave": False,
    }
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = tqdm(pool.map(faults, files, files.values()), **bar)
        return [
            f"{_name(file, listing.root)}{fault}"
            for file, found in zip(files, results, strict=True)
            for fault in found
        ]


def faults(file: Path, pictures: Sequence[Picture]) -> list[str]:
    """What is wrong with a file, or with some of the pictures that it holds."""
    if pictures[0].inside is not None:
        return [
            f"/{picture.inside}: {fault}"
            for picture in pictures
            if (fault := _fault_inside(picture))
        ]
    try:
        if file.stat().st_size == 0:
            return [": empty file"]
        with Image.open(file) as image:
            image.verify()
        with Image.open(file) as image:
            width, height = image.size
            image.draft(
                None, (1, 1)
            )  # a JPEG is decoded at an eighth: all its bytes are read all the same
            image.load()
    except Exception as error:
        return [f": {_reason(error)}"]
    boxes = [picture.box for picture in pictures if picture.box is not None]
    return [
        f": nothing of the box {box} lies within {width}x{height} pixels"
        for box in boxes
        if _is_outside(box, width, height)
    ]


def _fault_inside(picture: Picture) -> str:
    try:
        read_inside(picture.file, picture.inside)
    except Exception as error:
        return _reason(error)
    return ""


def _reason(error: Exception) -> str:
    """An error in a few words; damaged files make decoders raise nearly anything."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_outside(box: tuple[int, int, int, int], width: int, height: int) -> bool:
    left, top, right, bottom = box
    return min(right, width) <= max(left, 0) or min(bottom, height) <= max(top, 0)


def _name(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
