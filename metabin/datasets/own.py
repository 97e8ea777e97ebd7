"""People's own pictures: folders for training, query and gallery, or a table of labels."""

import csv
import io
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from metabin.datasets.folders import (
    PICTURES,
    UNKNOWN_KIND,
    count_names,
    files_of,
    stem_of,
    subfolders,
    suffix_of,
    within,
)
from metabin.datasets.listing import DISTRACTOR, PARTS, UNKNOWN_CAMERA, Listing, Picture
from metabin.datasets.market1501 import ANY_NAME, FOLDERS, count_junk, list_layout

COLUMNS = ("path", "pid")
OPTIONAL = ("camid", "domain", "part")
UNKNOWN = str(UNKNOWN_CAMERA)
# What spreadsheets and programs write where a value is missing.
MISSING = {"", "-", "?", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil"}
MISSING |= {"#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"}
LARGEST = 2**31  # numbers from here on are counted like words


class TableRow(NamedTuple):
    """A row of a table with its labels as `plain_word` has them; `line` is its line in the file."""

    line: int
    file: Path
    pid: str
    camid: str
    domain: str
    part: str


def list_own(root: Path | str) -> tuple[Listing, ...]:
    """One listing per domain from a CSV file, or one from a folder, which has the folder's name.

    The folder holds `bounding_box_train` or `train`, `query`, `bounding_box_test` or `gallery`, as
    far as they are needed, with names as Market-1501 has them or with a folder for each person.
    Pictures in other places are left out and counted.
    Raises FileNotFoundError or ValueError that says what was expected.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root} is not there")
    if root.suffix.lower() == ".csv":
        return list_table(root)
    folders = {}
    for part, name in FOLDERS.items():
        folders[part] = name if within(root, name).is_dir() else part
    read = {within(root, name) for name in folders.values()}
    listing = list_layout(root, root.resolve().name, ANY_NAME, folders)
    if listing is None:
        read = {}  # each person's folder -> part
        for part, name in folders.items():
            people = within(root, name)
            read |= dict.fromkeys(subfolders(people) if people.is_dir() else (), part)
        listing = list_people(root, read)
    if listing is None:
        names = ", ".join(f"{name}/" for name in FOLDERS.values())
        raise FileNotFoundError(
            f"{root}: expected the folders {names} (or train/, query/, gallery/) with pictures "
            "named like 0002_c1s1_000451_03.jpg or with a folder for each person, or a .csv file "
            f"with the columns {', '.join(COLUMNS + OPTIONAL)}"
        )
    return (replace(listing, remarks=(*listing.remarks, *unread_pictures(root, read))),)


def unread_pictures(root: Path, read: Collection[Path]) -> list[str]:
    """A remark with the number of pictures below the root in folders that are not read."""
    names = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        if Path(place) in read:
            continue
        for name in sorted(files):
            if suffix_of(name) in PICTURES and not name.startswith("."):
                names.append(str((Path(place) / name).relative_to(root)))
    return count_names(root, "left out", "pictures in folders that are not read", names)


def list_people(root: Path, persons: Mapping[Path, str]) -> Listing | None:
    """Pictures such as `query/anna/any name.jpg`, in a folder for each person of a part.

    A camera is known where all names tell theirs, as in `0002_c1s1_000451_03.jpg`. A person's
    folder called -1 is junk: left out and counted.
    """
    rows, junk, others = [], 0, []
    for person, part in persons.items():
        for file in files_of(person):
            if suffix_of(file.name) not in PICTURES:
                others.append(file.name)
            elif person.name == "-1":
                junk += 1
            else:
                rows.append(picture_row(root, part, file))
    if not rows:
        return None
    if any(row.camid == UNKNOWN for row in rows):
        rows = [row._replace(camid=UNKNOWN) for row in rows]
    listing = list_domain(root, rows)
    remarks = (*listing.remarks, *count_names(root, "left out", UNKNOWN_KIND, others))
    return replace(listing, left_out=count_junk(junk), remarks=remarks)


def picture_row(root: Path, part: str, file: Path) -> TableRow:
    """The row of a picture in a person's folder; its camera is unknown or in its name."""
    values = {"path": str(file.relative_to(root)), "pid": file.parent.name, "part": part}
    if match := re.fullmatch(ANY_NAME, stem_of(file.name)):
        values["camid"] = str(int(match[2]) - 1)
    try:
        return table_row(root, 0, values | {"domain": root.resolve().name})
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def list_table(file: Path) -> tuple[Listing, ...]:
    """One listing per domain from a CSV file: path, pid and, if wanted, camid, domain and part.

    Commas, semicolons or tabs separate. A path counts from the file's own folder. Without their
    columns, cameras are unknown, the domain is called like the file and the part is "train".
    Persons and cameras are numbers from 0 or any words, which are numbered in their order per
    domain. Case and spacing of a word don't matter. A pid of -1 is a distractor.
    Raises ValueError naming a missing column, or file and row of a value that makes no sense.
    """
    rows = read_table(file)
    lost = [row for row in rows if not row.file.is_file()]
    if lost:
        raise ValueError(
            f"{file}: {len(lost)} pictures are not there, e.g. {lost[0].file} (row {lost[0].line})"
        )
    first = {}  # picture -> its first row
    for row in rows:
        before = first.setdefault(row.file, row)
        if before.pid.casefold() != row.pid.casefold():
            raise ValueError(
                f"{file}, row {row.line}: {row.file} shows {row.pid}, but {before.pid} in row "
                f"{before.line}"
            )
    domains = defaultdict(list)  # name without case -> rows
    for row in rows:
        domains[row.domain.casefold()].append(row)
    return tuple(list_domain(file, of_domain) for of_domain in domains.values())


def read_table(file: Path) -> list[TableRow]:
    """The rows of a CSV file, each checked by itself. Raises ValueError naming file and row."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not in UTF-8: save it again as CSV in UTF-8") from None
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    table.fieldnames = [name.strip().lower() for name in table.fieldnames or ()]
    for name in (*COLUMNS, *OPTIONAL):
        if name in COLUMNS and name not in table.fieldnames:
            raise ValueError(
                f"{file}: no column {name!r} in {header!r}; expected {', '.join(COLUMNS)} and, if "
                f"wanted, {', '.join(OPTIONAL)}"
            )
        if table.fieldnames.count(name) > 1:
            raise ValueError(f"{file}: two columns are called {name!r}")
    rows = []
    for values in table:
        try:
            rows.append(table_row(file.parent, table.line_num, {"domain": file.stem} | values))
        except ValueError as error:
            raise ValueError(f"{file}, row {table.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{file} holds no row below its header")
    return rows


def table_row(folder: Path, line: int, values: Mapping[str, str]) -> TableRow:
    """A row with plain words; without a camid its camera is unknown.

    Raises ValueError for a value that is missing or makes no sense.
    """
    if None in values:
        raise ValueError("more values than the header has columns: put quotes around commas")
    labels = {"camid": UNKNOWN}
    for name in [name for name in (*COLUMNS, "camid", "domain") if name in values]:
        labels[name] = word = plain_word(values[name] or "")
        if word.lower() in MISSING and (name != "path" or not word):
            help = ": leave the column out where cameras are unknown" if name == "camid" else ""
            raise ValueError(f"{name} is missing ({values[name]!r}){help}")
    part = plain_word(values.get("part") or "").lower() or "train"
    if part not in PARTS:
        raise ValueError(f"no part {part!r}: choose from {', '.join(PARTS)}")
    for name, least in (("pid", DISTRACTOR), ("camid", 0)):
        if name in values and re.fullmatch(r"-\d+", labels[name]) and int(labels[name]) < least:
            raise ValueError(f"{name} {labels[name]} is below {least}")
    if labels["pid"] == "-1" and part != "gallery":
        raise ValueError(f"{values['path']} is a distractor (pid -1) outside the gallery")
    path = values["path"]
    file = folder / path if (folder / path).is_file() else folder / path.strip()
    return TableRow(line, file, labels["pid"], labels["camid"], labels["domain"], part)


def plain_word(word: str) -> str:
    """The word without its accidents: Unicode's composed form, single spaces, `7` for `07.0`.

    Characters that nobody sees, such as a space of width zero, are left out.
    """
    seen = [letter for letter in word if unicodedata.category(letter) != "Cf"]
    word = " ".join(unicodedata.normalize("NFC", "".join(seen)).split())
    number = re.fullmatch(r"(-?)0*([0-9]+)(?:\.0*)?", word)
    return number[1] + number[2] if number else word


def list_domain(origin: Path, rows: Sequence[TableRow]) -> Listing:
    """One domain from a table or a folder; persons whose names differ in case only are one."""
    pids = number_words([row.pid for row in rows])
    camids = number_words([row.camid for row in rows])
    pictures, spellings = [], defaultdict(set)
    for row, pid, camid in zip(rows, pids, camids, strict=True):
        pictures.append(Picture(row.file, pid, camid, row.part))
        spellings[pid].add(row.pid)
    remarks = []
    for words in spellings.values():
        if len(words) > 1:
            remarks.append(f"{origin}: {' and '.join(sorted(words))} are taken for one person")
    root = origin if origin.is_dir() else origin.parent
    return Listing(rows[0].domain, root, tuple(pictures), remarks=tuple(remarks))


def number_words(words: Sequence[str]) -> list[int]:
    """The numbers that plain words are, or their places among the different words in order.

    Equal numbers mean equal words, but for case. "-1" stays what it is.
    """
    words = [word.casefold() for word in words]
    if all(re.fullmatch(r"-?[0-9]+", word) and int(word) < LARGEST for word in words):
        return [int(word) for word in words]
    different = sorted(set(words) - {"-1"})
    numbers = {word: number for number, word in enumerate(different)}
    return [numbers.get(word, DISTRACTOR) for word in words]
