"""People's own pictures: a folder in Market-1501's layout, or a table of paths and labels."""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from metabin.datasets.listing import DISTRACTOR, PARTS, Listing, Picture
from metabin.datasets.market1501 import ANY_NAME, FOLDERS, list_layout

COLUMNS = ("path", "pid", "camid", "domain")
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
    """One listing per domain from a CSV file, or one from a folder in Market-1501's layout.

    The folder's listing has the folder's name. Raises FileNotFoundError or ValueError that says
    what was expected.
    """
    root = Path(root)
    if root.suffix.lower() == ".csv":
        return list_table(root)
    listing = list_layout(root, root.resolve().name, ANY_NAME) if root.is_dir() else None
    if listing is None:
        places = ", ".join(f"{place}/" for place in FOLDERS.values())
        raise FileNotFoundError(
            f"{root}: expected the folders {places} with pictures named like "
            f"0002_c1s1_000451_03.jpg, or a .csv file with the columns {', '.join(COLUMNS)}"
        )
    return (listing,)


def list_table(file: Path) -> tuple[Listing, ...]:
    """One listing per domain from a CSV file: path, pid, camid, domain and, if wanted, part.

    Commas, semicolons or tabs separate. A path counts from the file's own folder; part is "train"
    where it isn't told. Persons and cameras are numbers from 0 or any words, which are numbered in
    their order per domain. Case and spacing of a word don't matter. A pid of -1 is a distractor.
    Raises ValueError naming a missing column, or file and row of a value that makes no sense.
    """
    rows = read_table(file)
    lost = [row for row in rows if not row.file.is_file()]
    if lost:
        raise ValueError(
            f"{file}: {len(lost)} pictures are not there, e.g. {lost[0].file} (row {lost[0].line})"
        )
    domains = defaultdict(list)  # name in small letters -> rows
    for row in rows:
        domains[row.domain.lower()].append(row)
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
    for name in COLUMNS:
        if name not in table.fieldnames:
            raise ValueError(
                f"{file}: no column {name!r} in {header!r}; expected {', '.join(COLUMNS)}"
            )
    rows = []
    for values in table:
        try:
            rows.append(table_row(file.parent, table.line_num, values))
        except ValueError as error:
            raise ValueError(f"{file}, row {table.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{file} holds no row below its header")
    return rows


def table_row(folder: Path, line: int, values: Mapping[str, str]) -> TableRow:
    """A row with plain words. Raises ValueError for a value that is missing or makes no sense."""
    if None in values:
        raise ValueError("more values than the header has columns: put quotes around commas")
    labels = {name: plain_word(values[name] or "") for name in COLUMNS}
    for name, word in labels.items():
        if word.lower() in MISSING and (name != "path" or not word):
            raise ValueError(f"{name} is missing ({values[name]!r})")
    part = plain_word(values.get("part") or "").lower() or "train"
    if part not in PARTS:
        raise ValueError(f"no part {part!r}: choose from {', '.join(PARTS)}")
    for name, least in (("pid", DISTRACTOR), ("camid", 0)):
        if re.fullmatch(r"-\d+", labels[name]) and int(labels[name]) < least:
            raise ValueError(f"{name} {labels[name]} is below {least}")
    if labels["pid"] == "-1" and part != "gallery":
        raise ValueError(f"{values['path']} is a distractor (pid -1) outside the gallery")
    path = values["path"]
    file = folder / path if (folder / path).is_file() else folder / path.strip()
    return TableRow(line, file, labels["pid"], labels["camid"], labels["domain"], part)


def plain_word(word: str) -> str:
    """The word without its accidents: Unicode's composed form, single spaces, `7` for `07.0`."""
    word = " ".join(unicodedata.normalize("NFC", word).split())
    number = re.fullmatch(r"(-?)0*([0-9]+)(?:\.0*)?", word)
    return number[1] + number[2] if number else word


def list_domain(file: Path, rows: Sequence[TableRow]) -> Listing:
    """The listing of one domain; persons whose names differ in case only are one, and remarked."""
    pids = number_words([row.pid for row in rows])
    camids = number_words([row.camid for row in rows])
    pictures, spellings = [], defaultdict(set)
    for row, pid, camid in zip(rows, pids, camids, strict=True):
        pictures.append(Picture(row.file, pid, camid, row.part))
        spellings[pid].add(row.pid)
    remarks = []
    for words in spellings.values():
        if len(words) > 1:
            remarks.append(f"{file}: {' and '.join(sorted(words))} are taken for one person")
    return Listing(rows[0].domain, file.parent, tuple(pictures), remarks=tuple(remarks))


def number_words(words: Sequence[str]) -> list[int]:
    """The numbers that plain words are, or their places among the different words in order.

    Equal numbers mean equal words, but for case. "-1" stays what it is.
    """
    words = [word.lower() for word in words]
    if all(re.fullmatch(r"-?[0-9]+", word) and int(word) < LARGEST for word in words):
        return [int(word) for word in words]
    different = sorted(set(words) - {"-1"})
    numbers = {word: number for number, word in enumerate(different)}
    return [numbers.get(word, DISTRACTOR) for word in words]
