"""Decode listings into an ImageSet whose pixels are mapped into memory from a file on disk."""

import hashlib
import mmap
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache as remember
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from metabin.data.images import ImageSet
from metabin.datasets.decode import Size, decode
from metabin.datasets.listing import Listing, Picture

try:
    import fcntl
except ImportError:  # Windows has no such locks: let one process build a cache before others use it
    fcntl = None

CHUNK = 1024  # pictures decoded and written together; an interruption costs two chunks at most
# Linux counts what could be written to a private mapping as memory in use, and so refuses a cache
# larger than the memory, unless it is told not to reserve any.
MAPPING = {"access": mmap.ACCESS_COPY}
if sys.platform == "linux":  # Python 3.13 knows the second flag's name
    MAPPING = {"flags": mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0x4000)}
VERSION = 2  # of the pixels that `decode` makes; part of every cache's name


def load_images(
    listings: Listing | Sequence[Listing], size: Size = (256, 128), cache: Path | None = None
) -> ImageSet:
    """Decode one listing, or several into one set, at `size` = (H, W): a domain for each listing.

    One listing keeps its numbers; of several, persons are shifted so that no two share a number
    (distractors stay -1). With `cache`, a folder, the pixels are decoded once and mapped into
    memory from then on, until a picture changes.
    Raises ValueError when a listing is empty or a picture can't be read, OSError when the disk is
    too full.
    """
    listings = [listings] if isinstance(listings, Listing) else list(listings)
    if not listings:
        raise ValueError("load_images needs at least one listing")
    rows, first_pid = [], 0
    for domain, listing in enumerate(listings):
        if not len(listing):
            raise ValueError(
                f"no pictures in {listing.name} ({listing.root}): see python -m metabin data check"
            )
        for picture in listing.pictures:
            pid = picture.pid + first_pid if picture.pid >= 0 else picture.pid
            rows.append((pid, picture.camid, domain))
        first_pid += max(listing.ids, default=-1) + 1
    pids, camids, domains = torch.tensor(rows, dtype=torch.int64).T.contiguous()  # (N,) each
    pictures = [picture for listing in listings for picture in listing.pictures]
    if cache is None:
        chunks = [torch.from_numpy(chunk) for chunk in decode_chunks(pictures, size)]
        pixels = torch.cat(chunks)  # (N, 3, H, W)
    else:
        pixels = map_cache(cache_file(listings, size, cache), pictures, size)  # (N, 3, H, W)
    return ImageSet(pixels, pids, camids, domains, tuple(listing.name for listing in listings))


def number_pictures(images: Tensor) -> Tensor:
    """A number for each picture of (N, 3, H, W), the same one for equal pixels: (N,)."""
    numbers, rows = {}, []
    for image in images:  # (3, H, W)
        digest = hashlib.sha256(image.numpy()).digest()
        rows.append(numbers.setdefault(digest, len(numbers)))
    return torch.tensor(rows)


def decode_chunks(pictures: Sequence[Picture], size: Size, start: int = 0) -> Iterator[np.ndarray]:
    """The pictures from `start` on in chunks (C, 3, H, W), with a bar of progress."""
    bar = tqdm(total=len(pictures), initial=start, desc="decoding", unit="image", disable=None)
    with bar, ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        try:
            for first in range(start, len(pictures), CHUNK):
                chunk = pictures[first : first + CHUNK]
                pixels = np.empty((len(chunk), 3, *size), np.uint8)  # (C, 3, H, W)
                for row, image in enumerate(pool.map(decode, chunk, repeat(size))):
                    pixels[row] = image
                    bar.update()
                yield pixels
        finally:  # after an error or Ctrl-C nobody waits for the rest
            pool.shutdown(wait=False, cancel_futures=True)


def cache_file(listings: Sequence[Listing], size: Size, cache: Path) -> Path:
    """Where the pixels of these listings belong.

    The name changes with every picture's name, size, time and box, and not with the root.
    """
    status = remember(os.stat)
    digest = hashlib.sha256(repr((VERSION, size)).encode())
    for listing in listings:
        for picture in listing.pictures:
            try:
                stat = status(picture.file)
            except OSError as error:
                message = f"cannot read the picture {picture.file}: {error.strerror}"
                raise ValueError(message) from None
            name = str(picture.file).removeprefix(str(listing.root))
            row = (listing.name, name, picture.inside, picture.box, stat.st_size, stat.st_mtime_ns)
            digest.update(repr(row).encode())
    names = "+".join(listing.name for listing in listings)
    names = re.sub(r"[^\w+]", "_", names)[:80]
    return Path(cache) / f"{names}-{size[0]}x{size[1]}-{digest.hexdigest()[:16]}.uint8"


def map_cache(path: Path, pictures: Sequence[Picture], size: Size) -> Tensor:
    """The pixels of pictures from the file `path`, which is made if it isn't there: (N, 3, H, W).

    What is written to them stays in memory. Raises ValueError when the file has another length.
    """
    shape = (len(pictures), 3, *size)
    num_bytes = int(np.prod(shape, dtype=np.int64))
    if not path.exists():
        build_cache(path, pictures, size)
    length = path.stat().st_size
    if length != num_bytes:
        raise ValueError(
            f"{path} has {length} bytes, not {num_bytes}; delete it and it is made again"
        )
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), num_bytes, **MAPPING)
    return torch.frombuffer(mapping, dtype=torch.uint8).view(shape)


def build_cache(path: Path, pictures: Sequence[Picture], size: Size) -> None:
    """Write the pixels chunk by chunk to a partial file, which then gets the name `path`.

    A build that was interrupted is taken up again. Another process that builds the same file is
    waited for. Raises OSError when the disk is too full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        length = os.fstat(file.fileno()).st_size
        if path.exists():  # the other process has finished: this is a new partial file, if empty
            if length == 0:
                partial.unlink(missing_ok=True)
            return
        try:
            write_chunks(file, length, path, pictures, size)
        except ValueError:  # an unreadable picture: to mend it changes the name of the cache
            partial.unlink(missing_ok=True)
            raise
        os.replace(partial, path)


def write_chunks(
    file: BinaryIO, length: int, path: Path, pictures: Sequence[Picture], size: Size
) -> None:
    """Write what a partial file of `length` bytes lacks.

    Its last whole chunk is made again: only those before it are known to have reached the disk.
    """
    num_bytes = 3 * size[0] * size[1]  # of one picture
    start = CHUNK * max(0, length // (CHUNK * num_bytes) - 1)
    missing = (len(pictures) - start) * num_bytes
    free = shutil.disk_usage(path.parent).free + length - start * num_bytes
    if free < missing:
        raise OSError(
            f"{path.parent} needs {missing / 1e9:.1f} GB more for {path.name}, "
            f"{free / 1e9:.1f} GB are free"
        )
    file.truncate(start * num_bytes)
    file.seek(0, os.SEEK_END)
    for pixels in decode_chunks(pictures, size, start):
        file.write(pixels)
        file.flush()
        os.fsync(file.fileno())
