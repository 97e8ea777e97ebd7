"""Which pictures of a listing can't be decoded, and which ones change when they are decoded."""

import os
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from metabin.datasets.decode import change_of_pixels, open_picture, read_rgb
from metabin.datasets.folders import count_names
from metabin.datasets.listing import Listing, Picture


def examine_pictures(listing: Listing) -> tuple[list[str], list[str]]:
    """Lines that name unreadable pictures with the reason, and remarks on pixels that change."""
    unreadable, changes = {}, defaultdict(list)
    bar = {"total": len(listing), "desc": f"reading {listing.name}", "unit": "picture"}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        reports = tqdm(
            pool.map(examine_picture, listing.pictures), **bar, disable=None, leave=False
        )
        for picture, (fault, change) in zip(listing.pictures, reports, strict=True):
            file = picture.file
            name = str(file.relative_to(listing.root) if listing.root in file.parents else file)
            name = f"{name}/{picture.inside}" if picture.inside else name
            if fault:
                unreadable[f"{name}: {fault}"] = None  # a scene counts once, whoever is in it
            if change:
                changes[change].append(name)
    remarks = []
    for change, names in changes.items():
        remarks += count_names(listing.root, "has", f"pictures {change}", names)
    return list(unreadable), remarks


def examine_picture(picture: Picture) -> tuple[str, str]:
    """Why the picture can't be decoded, and how its pixels change; "" each where all is well."""
    try:
        if picture.inside is None:
            if picture.file.stat().st_size == 0:
                return "empty file", ""
            with Image.open(picture.file) as image:
                image.verify()
        read_rgb(picture, 1)  # a JPEG at an eighth: all its bytes are read all the same
        with open_picture(picture) as image:
            return "", change_of_pixels(image)
    except UnidentifiedImageError:
        return "not a picture", ""
    except Exception as error:  # damaged files make decoders raise nearly anything
        return getattr(error, "strerror", None) or str(error) or type(error).__name__, ""
