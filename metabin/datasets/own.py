"""People's own pictures: a folder in Market-1501's layout, or a table of paths, persons, cameras and domains."""

import csv
from collections.abc import Sequence
from pathlib import Path

from metabin.datasets.listing import DISTRACTOR, PARTS, Listing, Picture
from metabin.datasets.market1501 import ANY_NAME, FOLDERS, list_layout

COLUMNS = ("path", "pid", "camid", "domain")


def list_own(root: Path | str) -> tuple[Listing, ...]:
    """One listing per domain from a CSV file, or one, named like the folder, from a folder in Market-1501's layout.

    Raises FileNotFoundError or ValueError saying what was expected.
    """
    root = Path(root)
    if root.suffix.lower() == ".csv":
        return list_table(root)
    listing = list_layout(root, ANY_NAME, root.resolve().name) if root.is_dir() else None
    if listing is None:
        places = ", ".join(f"{place}/" for place in FOLDERS.values())
        raise FileNotFoundError(
            f"{root}: expected the folders {places} with pictures named like 0002_c1s1_000451_03.jpg, or a .csv file "
            f"with the columns {', '.join(COLUMNS)}"
        )
    return (listing,)


def list_table(file: Path) -> tuple[Listing, ...]:
    """A CSV file with the columns path, pid, camid, domain and, if wanted, part ("train" where it isn't said).

    Commas, semicolons or tabs may be between them. A path counts from the file's own folder. Persons and cameras may be
    numbers from 0 or any words, which are numbered in their order per domain; a pid of -1 is a distractor.
    Raises ValueError naming a missing column, an empty field, an unknown part or a picture that isn't there.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not in UTF-8: save it again as CSV in UTF-8") from None
    header = lines[0] if lines else ""
    table = csv.DictReader(lines, delimiter=max(",;\t", key=header.count))
    if missing := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
        raise ValueError(
            f"{file}: no column {missing[0]!r} in {header!r}; expected {', '.join(COLUMNS)}"
        )
    rows = list(table)
    if not rows:
        raise ValueError(f"{file} holds no row below its header")
    for place, row in enumerate(rows, 2):
        if wrong := fault(row):
            raise ValueError(f"{file}, row {place}: {wrong}")
    if lost := [row["path"] for row in rows if not (file.parent / row["path"]).is_file()]:
        raise ValueError(
            f"{file}: {len(lost)} pictures are not there, e.g. {file.parent / lost[0]}"
        )
    domains = dict.fromkeys(row["domain"] for row in rows)
    return tuple(
        domain_of(file, domain, [row for row in rows if row["domain"] == domain])
        for domain in domains
    )


def fault(row: dict[str, str]) -> str:
    """What is wrong with a row by itself; nothing is an empty text."""
    if empty := [name for name in COLUMNS if not row[name]]:
        return f"{empty[0]} is empty"
    if row["pid"].startswith("-") and row["pid"] != "-1":
        return f"pid {row['pid']} is below -1"
    part = row.get("part") or "train"
    return "" if part in PARTS else f"no part {part!r}: choose from {', '.join(PARTS)}"


def domain_of(file: Path, domain: str, rows: list[dict[str, str]]) -> Listing:
    pids, camids = (number([row[name] for row in rows]) for name in ("pid", "camid"))
    pictures = [
        Picture(file.parent / row["path"], pid, camid, row.get("part") or "train")
        for row, pid, camid in zip(rows, pids, camids, strict=True)
    ]
    if wrong := [p for p in pictures if p.pid == DISTRACTOR and p.part != "gallery"]:
        raise ValueError(f"{file}: {wrong[0].file} is a distractor (pid -1) outside the gallery")
    return Listing(domain, file.parent, tuple(pictures))


def number(words: Sequence[str]) -> list[int]:
    """The numbers that the words are, or else their places in the sorted order of different words; "-1" stays."""
    try:
        return [int(word) for word in words]
    except ValueError:
        places = {word: place for place, word in enumerate(sorted(set(words) - {"-1"}))}
        return [places.get(word, DISTRACTOR) for word in words]
