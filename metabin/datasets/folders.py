"""The pictures of a folder by their names, also by names that people and copy tools changed."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PICTURES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm"
}  # fmt: skip
# Files that lie beside pictures; every other file that is not read is counted.
COMPANIONS = {"", ".txt", ".md", ".csv", ".json", ".xml", ".pdf", ".html", ".mat", ".m", ".py"}
COMPANIONS |= {".db", ".ini", ".zip", ".gz"}
# What copy tools add: `copy of a`, `a - Copy`, `a copy 2`, `a (1)`.
COPY_MARK = re.compile(r"^copy of |(?: -)? copy(?: \d+)?$| ?\((?:\d+|copy)\)$", flags=re.IGNORECASE)
UNKNOWN_KIND = "files that are not known as pictures"
Row = tuple[Path, re.Match]  # a picture, and what the pattern matched in its name


def files_of(folder: Path) -> list[Path]:
    """The files of a folder, sorted; hidden files (a Mac's `._…` among them) are left aside.

    A link that leads nowhere is listed: the doctor and the decoder say that it can't be read.
    """
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and not e.is_dir()]
    return [folder / name for name in sorted(names)]


def no_folder(data_root: Path) -> str:
    """Why sets can't be looked for below a path, and what to give; "" where it is a folder."""
    if data_root.is_dir():
        return ""
    what = "is a file" if data_root.is_file() else "is not there"
    return f"{data_root} {what}: give the folder that holds the data sets as --data-root"


def subfolders(folder: Path) -> list[Path]:
    """Sorted; without hidden folders and the one that a Mac puts into archives."""
    try:
        folders = [path for path in folder.iterdir() if path.is_dir()]
    except PermissionError:
        return []
    return sorted(path for path in folders if not path.name.startswith((".", "__MACOSX")))


def within(folder: Path, path: str) -> Path:
    """A path below a folder, in whatever case its names have on the disk.

    Where there is no such path, it is returned as it was asked for.
    """
    for name in Path(path).parts:
        exact = folder / name
        if not exact.exists() and folder.is_dir():
            for other in sorted(os.listdir(folder)):
                if other.lower() == name.lower():
                    exact = folder / other
                    break
        folder = exact
    return folder


def suffix_of(name: str) -> str:
    return os.path.splitext(name.strip())[1].lower()


def stem_of(name: str) -> str:
    """A name without its suffixes: `a.jpg`, `a.JPG`, `a.jpg.jpg` and `a` are all `a`."""
    stem, suffix = os.path.splitext(name)
    while suffix.lower() in PICTURES:
        name = stem
        stem, suffix = os.path.splitext(name)
    return name


def original_stem(name: str) -> str:
    """The stem before a copy tool changed it: `a (1).jpg`, `copy of a.jpg`, `a.jpg ` are `a`."""
    stem, before = stem_of(name.strip()), ""
    while stem != before:
        before = stem
        stem = stem_of(COPY_MARK.sub("", stem).strip())
    return stem


def match_pictures(folder: Path, pattern: str) -> tuple[list[Row], list[str]]:
    """Pictures, sorted by name, whose stem matches the whole pattern; and remarks on the others.

    A picture whose name a copy tool changed is read, unless the original lies beside it. There is
    none where there is no such folder.
    """
    if not folder.is_dir():
        return [], []
    rows, doubtful, strays, others = [], [], [], []
    for file in files_of(folder):
        suffix = suffix_of(file.name)
        if match := re.fullmatch(pattern, stem_of(file.name)):
            rows.append((file, match))
        elif match := re.fullmatch(pattern, original_stem(file.name)):
            doubtful.append((file, match))
        elif suffix in PICTURES:
            strays.append(file.name)
        elif suffix not in COMPANIONS:
            others.append(file.name)
    stems = {match[0] for _, match in rows}
    renamed, copies = [], []
    for file, match in doubtful:
        if match[0] in stems:
            copies.append(file.name)
        else:
            stems.add(match[0])
            rows.append((file, match))
            renamed.append(file.name)
    remarks = count_names(folder, "left out", "pictures with another name", strays)
    remarks += count_names(folder, "left out", "copies of pictures that are there", copies)
    remarks += count_names(folder, "left out", UNKNOWN_KIND, others)
    remarks += count_names(folder, "read", "pictures whose names a copy tool changed", renamed)
    return sorted(rows, key=lambda row: row[0].name), remarks


def count_names(folder: Path, verb: str, what: str, names: Sequence[str]) -> list[str]:
    """A remark with the number of names and the first of them; none where there is no name."""
    return [f"{folder}: {verb} {len(names):,} {what}, e.g. {names[0]!r}"] if names else []


@contextmanager
def naming(file: Path, more: str = "") -> Iterator[None]:
    """Turn whatever a decoder raises for a damaged file into a ValueError that names the file."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        message = f"cannot read {file}: {reason}. Copy it again from where the set came from{more}"
        raise ValueError(message) from None
