"""What all readers share: the pictures of a folder by their names."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}


def picture_files(folder: Path) -> Iterator[Path]:
    """The pictures of a folder in any order, by their suffix; hidden files (a Mac's `._…` among them) are no pictures.

    A link that leads nowhere is listed: that it can't be read is for the doctor and the decoder to say.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if (
                Path(entry.name).suffix.lower() in PICTURES
                and not entry.name.startswith(".")
                and not entry.is_dir()
            ):
                yield folder / entry.name


def subfolders(folder: Path) -> list[Path]:
    """Sorted; without hidden folders and the one that a Mac puts into archives."""
    try:
        return sorted(
            f for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "__MACOSX"))
        )
    except PermissionError:
        return []


def within(folder: Path, path: str) -> Path:
    """A path below a folder, in whatever case its names have on the disk; as it was given where it isn't there."""
    for name in Path(path).parts:
        exact = folder / name
        if not exact.exists() and folder.is_dir():
            exact = next(
                (folder / f for f in sorted(os.listdir(folder)) if f.lower() == name.lower()), exact
            )
        folder = exact
    return folder


def has_pictures(folder: Path, pattern: str) -> bool:
    """Whether the folder is there and holds a picture whose stem matches the whole pattern."""
    return folder.is_dir() and any(
        re.fullmatch(pattern, file.stem) for file in picture_files(folder)
    )


def list_pictures(folder: Path, pattern: str) -> list[tuple[Path, re.Match]]:
    """Pictures of a folder, sorted by name, whose stem matches the whole pattern.

    Hidden files and other kinds are passed over; pictures with another name are counted in a warning.
    Raises FileNotFoundError when there is no such folder and ValueError when it holds no such picture.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} is missing")
    matches = [(file, re.fullmatch(pattern, file.stem)) for file in sorted(picture_files(folder))]
    found = [(file, match) for file, match in matches if match]
    if strays := [file.name for file, match in matches if not match]:
        warn_left_out(folder, "pictures with another name", strays)
    if not found:
        raise ValueError(f"{folder} holds no picture whose name matches {pattern}")
    return found


def warn_left_out(folder: Path, what: str, names: Sequence[str]) -> None:
    """Warn that so many of something are passed over, with the first by name."""
    warnings.warn(f"{folder}: left out {len(names)} {what}, e.g. {names[0]}", stacklevel=3)


def list_places(
    folder: Path, places: Sequence[str], pattern: str
) -> list[list[tuple[Path, re.Match]]] | None:
    """`list_pictures` of each place in the folder; None when none holds such a picture: it is another set then.

    Raises FileNotFoundError naming all places that are missing beside others, and what `list_pictures` does.
    """
    folders = [within(folder, place) for place in places]
    if not any(has_pictures(place, pattern) for place in folders):
        return None
    if missing := [
        place for place, found in zip(places, folders, strict=True) if not found.is_dir()
    ]:
        raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}")
    return [list_pictures(place, pattern) for place in folders]


@contextmanager
def whole(file: Path) -> Iterator[None]:
    """Turn whatever a decoder says of a damaged file, which may be nearly anything, into a ValueError that names it."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"cannot read {file}: {error}. Copy it again from where the set came from"
        ) from None
