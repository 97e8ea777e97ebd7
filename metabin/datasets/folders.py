"""What all readers share: list the pictures of a folder by their names, decode them into one tensor."""

import os
import re
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PICTURES = {".jpg", ".jpeg", ".png", ".bmp"}


def list_pictures(folder: Path, pattern: str) -> list[tuple[Path, re.Match]]:
    """Pictures of a folder, sorted by name, whose stem matches the whole pattern; hidden and other files are no pictures.

    Pictures with another name are counted in a warning. Raises ValueError when none is left.
    """
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in PICTURES and not f.name.startswith("."))
    matches = [(file, re.fullmatch(pattern, file.stem)) for file in files]
    found = [(file, match) for file, match in matches if match]
    if strays := [file.name for file, match in matches if not match]:
        warnings.warn(f"{folder}: left out {len(strays)} pictures with another name, e.g. {strays[0]}", stacklevel=2)
    if not found:
        raise ValueError(f"{folder} holds no picture whose name matches {pattern}")
    return found


def decode(files: Sequence[Path], size: tuple[int, int]) -> Tensor:
    """Pictures as (N, 3, H, W) uint8 RGB, resized bilinearly where they are not (H, W). Raises ValueError by name."""
    height, width = size
    images = np.empty((len(files), height, width, 3), np.uint8)

    def read(number: int) -> None:
        try:
            with Image.open(files[number]) as picture:
                picture = picture.convert("RGB")
        except OSError as error:
            raise ValueError(f"cannot read the picture {files[number]}: {error}") from None
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        images[number] = np.asarray(picture)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(read, range(len(files))))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (N, 3, H, W)
