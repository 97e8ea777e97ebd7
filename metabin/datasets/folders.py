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
Row = tuple[Path, re.Match]  # a picture, and what the pattern matched in its name


def files_of(folder: Path) -> list[Path]:
    """The files of a folder, sorted; hidden files (a Mac's `._…` among them) are left aside.

    A link that leads nowhere is listed: the doctor and the decoder say that it can't be read.
    """
    with os.scandir(folder) as entries:
        names = [e.name for e in entries if not e.name.startswith(".") and not e.is_dir()]
    return [folder / name for name in sorted(names)]


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
    rows, doubtful, others = [], [], []
    for file in files_of(folder):
        suffix = suffix_of(file.name)
        match = re.fullmatch(pattern, stem_of(file.name))
        if match:
            rows.append((file, match))
        elif suffix in PICTURES or re.fullmatch(pattern, original_stem(file.name)):
            doubtful.append(file)
        elif suffix not in COMPANIONS:
            others.append(file.name)
    stems = {match[0] for _, match in rows}
    renamed, copies, strays = [], [], []
    for file in doubtful:
        match = re.fullmatch(pattern, original_stem(file.name))
        if match is None:
            strays.append(file.name)
        elif match[0] in stems:
            copies.append(file.name)
        else:
            stems.add(match[0])
            rows.append((file, match))
            renamed.append(file.name)
    remarks = count_names(folder, "left out", "pictures with another name", strays)
    remarks += count_names(folder, "left out", "copies of pictures that are there", copies)
    remarks += count_names(folder, "left out", "files that are not known as pictures", others)
    remarks += count_names(folder, "read", "pictures whose names a copy tool changed", renamed)
    return sorted(rows, key=lambda row: row[0].name), remarks


def count_names(folder: Path, verb: str, what: str, names: Sequence[str]) -> list[str]:
    """A remark with the number of names and the first of them; none where there is no name."""
    return [f"{folder}: {verb} {len(names):,} {what}, e.g. {names[0]!r}"] if names else []


def match_folders(
    root: Path, names: Sequence[str], pattern: str
) -> tuple[list[list[Row]], list[str]]:
    """`match_pictures` of each subfolder of the root; ([], []) when none holds such a picture.

    Raises FileNotFoundError with those that lack pictures beside others.
    """
    matches, remarks = [], []
    for name in names:
        rows, more = match_pictures(within(root, name), pattern)
        matches.append(rows)
        remarks += more
    if not any(matches):
        return [], []
    pairs = zip(names, matches, strict=True)
    if missing := [name for name, rows in pairs if not rows]:
        raise FileNotFoundError(f"{root} lacks pictures in {', '.join(missing)}")
    return matches, remarks


def load_mat(file: Path, **options) -> dict:
    """What a MATLAB file holds. Raises ValueError that names a damaged file."""
    from scipy.io import loadmat  # takes a third of a second to import

    with naming(file):
        return loadmat(file, **options)


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Turn whatever a decoder raises for a damaged file into a ValueError that names the file."""
    try:
        yield
    except Exception as error:
        reason = str(error) or type(error).__name__
        message = f"cannot read {file}: {reason}. Copy it again from where the set came from"
        raise ValueError(message) from None
