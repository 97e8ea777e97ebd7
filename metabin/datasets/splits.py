"""Who is tested on the four small sets: ten seeded draws each, in files that everyone shares (`data/splits/*.json`).

A person is named by its place, from 0, among all persons that can be tested, in the order of their numbers: VIPeR's
numbers have gaps. Which persons are drawn is decided by SHA-256 of seed, set, split and person, which no version of a
library changes. GRID comes with ten partitions of its own; where its file is there, they are used.

    python -m metabin data splits        # writes the files again, with the same bytes
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from scipy.io import loadmat
from torch import Tensor

from metabin.datasets.listing import Listing

FOLDER = Path(__file__).resolve().parents[2] / "data" / "splits"
PARTITIONS = "features_and_partitions.mat"
NUM_SPLITS = 10
SEED = 0
DRAW = 840  # divisible by 1 … 8, the numbers of images that an i-LIDS person has: `draw % images` is fair


class Design(NamedTuple):
    """How many persons can be tested, how many of them a split tests, the pictures of its gallery, and how it is drawn.

    A split's query has a picture of each person that it tests; with `pairs`, one picture of a person is its query and
    another one its gallery.
    """

    people: int
    tested: int
    gallery: int
    pairs: bool = False


DESIGNS = {
    "viper": Design(632, 316, 316),
    "prid": Design(
        200, 100, 649
    ),  # seen by both cameras; who only camera b saw is in every gallery
    "grid": Design(250, 125, 900),  # distractors are in every gallery
    "ilids": Design(119, 60, 60, pairs=True),
}


class Split(NamedTuple):
    """Rows of a listing that are query and gallery, (Q,) and (G,)."""

    query: Tensor
    gallery: Tensor


def draw_splits(name: str) -> list[dict[str, list[int]]]:
    """Ten draws of persons; for i-LIDS also, per person, which of its images is query and which of the others gallery."""
    design, splits = DESIGNS[name], []

    def digest(*words: object) -> int:
        return int(sha256("/".join(map(str, (SEED, name, *words))).encode()).hexdigest(), 16)

    for split in range(NUM_SPLITS):
        people = sorted(range(design.people), key=lambda person, split=split: digest(split, person))
        splits.append({"people": sorted(people[: design.tested])})
        for role in ("query", "gallery") if design.pairs else ():
            splits[-1][role] = [
                digest(split, person, role) % DRAW for person in splits[-1]["people"]
            ]
    return splits


def checksum(splits: list[dict[str, list[int]]]) -> str:
    return sha256(json.dumps(splits).encode()).hexdigest()


def write_splits(folder: Path = FOLDER) -> list[Path]:
    """Write one file for each of the four sets; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, design in DESIGNS.items():
        splits = draw_splits(name)
        head = {"set": name, "seed": SEED, "people": design.people, "sha256": checksum(splits)}
        rows = ",\n".join("  " + json.dumps(split) for split in splits)
        text = json.dumps(head, indent=1)[:-2] + f',\n "splits": [\n{rows}\n ]\n}}\n'
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return [folder / f"{name}.json" for name in DESIGNS]


def read_splits(name: str, folder: Path = FOLDER) -> tuple[list[dict[str, list[int]]], str]:
    """A set's splits and their checksum. Raises FileNotFoundError or ValueError when the file is missing or was changed."""
    file = folder / f"{name}.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing; write it with: python -m metabin data splits")
    content = json.loads(file.read_text(encoding="utf-8"))
    if checksum(content["splits"]) != content["sha256"]:
        raise ValueError(
            f"{file} was changed: its checksum does not fit; write it with: python -m metabin data splits"
        )
    return content["splits"], content["sha256"]


def read_partitions(file: Path) -> list[dict[str, list[int]]]:
    """GRID's own ten partitions: who isn't in the training half is tested. Raises ValueError on another file."""
    people, tested, *_ = DESIGNS["grid"]
    try:
        cells = loadmat(file, variable_names=["trainIdxAll"])["trainIdxAll"].ravel()
        halves = [
            {int(person) - 1 for person in cell.ravel()[0][2].ravel()} for cell in cells
        ]  # 3rd field: identities
    except Exception as error:  # a damaged file makes scipy raise nearly anything
        raise ValueError(
            f"cannot read {file}: {error or type(error).__name__}. {OTHERWISE}"
        ) from None
    if len(halves) != NUM_SPLITS or any(
        len(half) != tested or not half <= set(range(people)) for half in halves
    ):
        raise ValueError(
            f"{file} does not hold ten times {tested} of {people} persons in trainIdxAll. {OTHERWISE}"
        )
    return [{"people": sorted(set(range(people)) - half)} for half in halves]


SEE = "Unpack the set again into an empty folder; see: python -m metabin data check --data-root …"
OTHERWISE = "Copy it again from where GRID came from; without it the seeded splits are used"


def splits_of(listing: Listing, folder: Path = FOLDER) -> tuple[tuple[Split, ...], str]:
    """The splits of one of the four sets as rows of its listing, and where they come from.

    Raises ValueError when the listing doesn't have the persons that the splits were drawn from, or other pictures of them.
    """
    if listing.name == "grid" and (listing.root / PARTITIONS).is_file():
        drawn, origin = read_partitions(listing.root / PARTITIONS), PARTITIONS
    else:
        drawn, digest = read_splits(listing.name, folder)
        origin = f"seeded, sha256 {digest[:16]}"
    rows = {"query": defaultdict(list), "gallery": defaultdict(list)}  # part -> pid -> rows
    for row, picture in enumerate(listing.pictures):
        if picture.part in rows:
            rows[picture.part][picture.pid].append(row)
    design = DESIGNS[listing.name]
    if design.pairs:
        people = sorted(pid for pid, of_person in rows["gallery"].items() if len(of_person) > 1)
    else:
        people = sorted(rows["query"].keys() & rows["gallery"].keys())
    if len(people) != design.people:
        what = "with two images or more" if design.pairs else "in query and gallery"
        raise ValueError(
            f"{listing.root}: {listing.name} has {len(people)} persons {what}, not {design.people}, so its splits do not "
            f"fit. {SEE}"
        )
    place = _place_pairs if design.pairs else _place
    splits = tuple(place(split, people, rows) for split in drawn)
    for number, (query, gallery) in enumerate(splits):
        if (len(query), len(gallery)) != (design.tested, design.gallery):
            raise ValueError(
                f"{listing.root}: {listing.name}'s split {number} has {len(query)} query and {len(gallery)} gallery "
                f"pictures, not {design.tested} and {design.gallery}: pictures were added or are missing. {SEE}"
            )
    return splits, origin


def _place(
    split: dict[str, list[int]], people: list[int], rows: dict[str, dict[int, list[int]]]
) -> Split:
    """All images of the tested persons; the gallery keeps whoever is in no query of any split."""
    untested = set(people) - {people[place] for place in split["people"]}
    query = [row for place in split["people"] for row in rows["query"][people[place]]]
    gallery = [
        row
        for pid, of_person in rows["gallery"].items()
        if pid not in untested
        for row in of_person
    ]
    return Split(torch.tensor(query), torch.tensor(gallery))


def _place_pairs(
    split: dict[str, list[int]], people: list[int], rows: dict[str, dict[int, list[int]]]
) -> Split:
    """One image of each tested person as the query, another one as the gallery."""
    pairs = []
    for place, query, gallery in zip(
        split["people"], split["query"], split["gallery"], strict=True
    ):
        of_person = list(rows["gallery"][people[place]])
        pairs.append((of_person.pop(query % len(of_person)), of_person[gallery % len(of_person)]))
    return Split(*torch.tensor(pairs).T)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `splits`: write the files."""
    parser = argparse.ArgumentParser(
        prog="python -m metabin data splits", description=write_splits.__doc__
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where to (default: data/splits)"
    )
    for file in write_splits(parser.parse_args(arguments).folder):
        print(file)
    return 0
