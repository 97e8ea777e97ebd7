"""Which pictures of a listing can't be decoded, and which ones change when they are decoded."""

from collections import defaultdict
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError
from tqdm.contrib.concurrent import thread_map

from metabin.datasets.decode import box_within, change_of_pixels, open_picture, read_rgb
from metabin.datasets.folders import count_names
from metabin.datasets.listing import Listing, Picture


class Examination(NamedTuple):
    """Why a picture can't be decoded and how its pixels change; "" each where all is well."""

    fault: str
    change: str = ""
    size: tuple[int, int] = (0, 0)  # (width, height)


def examine_pictures(listing: Listing) -> tuple[list[str], list[str]]:
    """Lines that name unreadable pictures with the reason, and remarks on pixels that change.

    A scene is read once, whoever stands in it.
    """
    scenes = {}
    for picture in listing.pictures:
        scenes[picture.file, picture.inside] = picture._replace(box=None)
    bar = {"desc": f"reading {listing.name}", "unit": "file", "disable": None, "leave": False}
    examined = thread_map(examine_picture, scenes.values(), **bar)
    results = dict(zip(scenes, examined, strict=True))
    unreadable, changes = [], defaultdict(list)
    for (file, inside), result in results.items():
        name = name_below(listing, scenes[file, inside])
        if result.fault:
            unreadable.append(f"{name}: {result.fault}")
        if result.change:
            changes[result.change].append(name)
    for picture in listing.pictures:
        result = results[picture.file, picture.inside]
        if picture.box is None or result.fault:
            continue
        try:
            box_within(picture.box, *result.size)
        except ValueError as error:
            unreadable.append(f"{name_below(listing, picture)}: {error}")
    remarks = []
    for change, names in changes.items():
        remarks += count_names(listing.root, "has", f"pictures {change}", names)
    return unreadable, remarks


def examine_picture(picture: Picture) -> Examination:
    try:
        if picture.inside is None:
            if picture.file.stat().st_size == 0:
                return Examination("empty file")
            with Image.open(picture.file) as image:
                image.verify()
        read_rgb(picture, 1)  # a JPEG at an eighth: all its bytes are read all the same
        if picture.inside is not None:
            return Examination("")
        with open_picture(picture) as image:
            return Examination("", change_of_pixels(image), image.size)
    except UnidentifiedImageError:
        return Examination("not a picture")
    except Exception as error:  # damaged files make decoders raise nearly anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Examination(reason)


def name_below(listing: Listing, picture: Picture) -> str:
    """The picture's path below the listing's root, and the place within its file."""
    file = picture.file
    name = str(file.relative_to(listing.root) if listing.root in file.parents else file)
    return f"{name}/{picture.inside}" if picture.inside else name
