"""Decode listings into an ImageSet whose pixels lie in a cache on disk and are mapped, not read, into memory."""

import hashlib
import mmap
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache as remember
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from metabin.data.images import ImageSet
from metabin.datasets.listing import Listing, Picture

try:
    import fcntl
except (
    ImportError
):  # Windows has no such locks: there, let one process build a cache before others use it
    fcntl = None

CHUNK = (
    1024  # pictures that are decoded and written together; an interruption costs two chunks at most
)
# Linux counts what could be written to a mapping of one's own as memory in use, and so refuses a cache larger than the
# memory, unless it is told not to reserve any.
MAPPING = {"access": mmap.ACCESS_COPY}
if sys.platform == "linux":  # Python 3.13 knows the second flag's name
    MAPPING = {"flags": mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)}
VERSION = 1  # of the pixels that `decode` makes; part of every cache's name
Size = tuple[int, int]  # (H, W)


def load_images(
    listings: Listing | Sequence[Listing], size: Size = (256, 128), cache: Path | None = None
) -> ImageSet:
    """Decode one listing, or several into one set, at `size` = (H, W): one domain for each listing, in that order.

    One listing keeps its numbers; of several, identities are shifted so that no two share one (distractors stay -1).
    With `cache`, a folder, the pixels are decoded once and mapped into memory from then on, until a picture changes.
    Raises ValueError when a listing is empty or a picture cannot be read, OSError when the disk is too full.
    """
    listings = [listings] if isinstance(listings, Listing) else list(listings)
    if empty := [f"{listing.name} ({listing.root})" for listing in listings if not len(listing)]:
        raise ValueError(f"no pictures in {', '.join(empty)}: see python -m metabin data check")
    pictures = [picture for listing in listings for picture in listing.pictures]
    if not pictures:
        raise ValueError("load_images needs at least one listing")
    shifts = accumulate((max(listing.ids, default=-1) + 1 for listing in listings[:-1]), initial=0)
    rows = [
        (picture.pid + shift if picture.pid >= 0 else picture.pid, picture.camid, domain)
        for domain, (listing, shift) in enumerate(zip(listings, shifts, strict=True))
        for picture in listing.pictures
    ]
    labels = torch.tensor(rows, dtype=torch.int64).T.contiguous()  # (3, N)
    names = tuple(listing.name for listing in listings)
    pixels = (
        _in_memory(pictures, size)
        if cache is None
        else _mapped(cache_file(listings, size, cache), pictures, size)
    )
    return ImageSet(pixels, *labels, names)  # (N, 3, H, W)


def decode(picture: Picture, size: Size) -> np.ndarray:
    """One picture upright, cut out, in RGB and resized bilinearly to (H, W), (3, H, W) uint8. Raises ValueError by name."""
    height, width = size
    try:
        with _open(picture) as image:
            if picture.box is None:
                # A JPEG is decoded at 1/2, 1/4 or 1/8 where that is still twice the size, whichever way up it is.
                image.draft(None, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(image).convert("RGB")
        if picture.box is not None:
            left, top, right, bottom = picture.box
            image = image.crop(
                (max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height))
            )
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    except Exception as error:  # damaged files make decoders raise nearly anything
        where = f"{picture.file}" + (f" ({picture.inside})" if picture.inside else "")
        raise ValueError(
            f"cannot read the picture {where}: {error or type(error).__name__}. Copy it again from where the set came "
            "from, or remove it. All such files are listed by: python -m metabin data check --data-root …"
        ) from None
    return np.asarray(image).transpose(2, 0, 1)  # (3, H, W)


def _open(picture: Picture) -> Image.Image:
    if picture.inside is None:
        return Image.open(picture.file)
    from metabin.datasets.cuhk03 import read_inside  # needs h5py, which only this set does

    return Image.fromarray(read_inside(picture.file, picture.inside))


def _in_memory(pictures: Sequence[Picture], size: Size) -> Tensor:
    pixels, start = torch.empty(len(pictures), 3, *size, dtype=torch.uint8), 0  # (N, 3, H, W)
    for chunk in _decoded(pictures, size):
        pixels[start : start + len(chunk)] = torch.from_numpy(chunk)
        start += len(chunk)
    return pixels


def _decoded(pictures: Sequence[Picture], size: Size, start: int = 0) -> Iterator[np.ndarray]:
    """The pictures from `start` on, in chunks (C, 3, H, W) with a bar of progress; the next chunk is decoded meanwhile."""
    workers = min(32, os.cpu_count() or 1)

    def submit(first: int) -> list[Future]:
        return [pool.submit(decode, picture, size) for picture in pictures[first : first + CHUNK]]

    bar = tqdm(total=len(pictures), initial=start, desc="decoding", unit="image", disable=None)
    with bar, ThreadPoolExecutor(workers) as pool:
        try:
            ahead = submit(start)
            for first in range(start + CHUNK, len(pictures) + CHUNK, CHUNK):
                chunk, ahead = ahead, submit(first)
                pixels = np.empty((len(chunk), 3, *size), np.uint8)  # (C, 3, H, W)
                for row, image in enumerate(chunk):
                    pixels[row] = image.result()
                    bar.update()
                yield pixels
        finally:  # after an error or Ctrl-C nobody waits for the rest
            pool.shutdown(wait=False, cancel_futures=True)


def cache_file(listings: Sequence[Listing], size: Size, cache: Path) -> Path:
    """Where the pixels of these listings belong: a name that changes with every picture's name, size, time and place."""
    status = remember(os.stat)
    digest = hashlib.sha256(repr((VERSION, size)).encode())
    for listing in listings:
        root = str(listing.root)
        for picture in listing.pictures:
            try:
                stat = status(picture.file)
            except OSError as error:
                raise ValueError(
                    f"cannot read the picture {picture.file}: {error.strerror}"
                ) from None
            name = str(picture.file).removeprefix(
                root
            )  # a folder that only moved is still the same
            row = (listing.name, name, picture.inside, picture.box, stat.st_size, stat.st_mtime_ns)
            digest.update(repr(row).encode())
    names = re.sub(r"[^\w+]", "_", "+".join(listing.name for listing in listings))[:80]
    return Path(cache) / f"{names}-{size[0]}x{size[1]}-{digest.hexdigest()[:16]}.uint8"


def _mapped(path: Path, pictures: Sequence[Picture], size: Size) -> Tensor:
    """The pixels of `pictures` from the file `path`, made if it is not there; what is written to them stays in memory."""
    shape = (len(pictures), 3, *size)
    num_bytes = int(np.prod(shape, dtype=np.int64))
    if not path.exists():
        _build(path, pictures, size)
    if path.stat().st_size != num_bytes:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, not {num_bytes}; delete it and it is made again"
        )
    with path.open("rb") as file:
        return torch.frombuffer(
            mmap.mmap(file.fileno(), num_bytes, **MAPPING), dtype=torch.uint8
        ).view(shape)  # (N, 3, H, W)


def _build(path: Path, pictures: Sequence[Picture], size: Size) -> None:
    """Write the pixels under a name of their own, chunk by chunk; a build that was interrupted is taken up again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    num_bytes = 3 * size[0] * size[1]  # of one picture
    part = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        if fcntl is not None:
            fcntl.flock(
                file, fcntl.LOCK_EX
            )  # another process that builds the same file is waited for
        if path.exists():
            if os.fstat(file.fileno()).st_size == 0:
                part.unlink(
                    missing_ok=True
                )  # opened, and so made, after the other one had renamed its own
            return  # it has finished, and this is no longer the partial file
        # The length says how far the build got. The last whole chunk is made again: only those before it were synced.
        chunks = max(0, os.fstat(file.fileno()).st_size // (CHUNK * num_bytes) - 1)
        start = chunks * CHUNK
        missing = (len(pictures) - start) * num_bytes
        free = (
            shutil.disk_usage(path.parent).free
            + os.fstat(file.fileno()).st_size
            - start * num_bytes
        )
        if free < missing:
            raise OSError(
                f"{path.parent} needs {missing / 1e9:.1f} GB more for {path.name}, {free / 1e9:.1f} GB are free"
            )
        file.truncate(start * num_bytes)
        file.seek(0, os.SEEK_END)
        try:
            for pixels in _decoded(pictures, size, start):
                file.write(pixels)
                file.flush()
                os.fsync(file.fileno())
        except ValueError:  # an unreadable picture: to mend it changes the name of the whole file
            part.unlink(missing_ok=True)
            raise
        os.replace(part, path)
