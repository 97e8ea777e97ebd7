"""Who is tested on the four small sets: ten seeded draws each, the same for everyone.

A person is named by its place, from 0, among all persons that can be tested, in the order of their
numbers: VIPeR's numbers have gaps. Which persons are drawn is decided by SHA-256 of seed, set,
split and person, which no version of a library changes. GRID comes with ten partitions of its own;
where its file is there, they are used.

    python -m metabin data splits        # writes data/splits/*.json, with the same bytes
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from metabin.datasets.folders import naming
from metabin.datasets.listing import Listing

PARTITIONS = "features_and_partitions.mat"
NUM_SPLITS = 10
SEED = 0
DRAW = 840  # divisible by 1 … 8, the images that an i-LIDS person has: `draw % images` is fair
MEND = "Is this a complete copy, with its own numbers? See: python -m metabin data check"
Draw = dict[str, list[int]]  # "people": places of the tested persons; "query" and "gallery"


class Design(NamedTuple):
    """Persons that can be tested, how many of them a split tests, and pictures of its gallery.

    A split's query has a picture of each person that it tests; with `pairs`, one picture of a
    person is its query and another one its gallery.
    """

    people: int
    tested: int
    gallery: int
    pairs: bool = False


DESIGNS = {
    "viper": Design(632, 316, 316),
    "prid": Design(200, 100, 649),  # both cameras saw 200; who only camera b saw is always there
    "grid": Design(250, 125, 900),  # distractors are in every gallery
    "ilids": Design(119, 60, 60, pairs=True),
}


class Split(NamedTuple):
    """Rows of a listing that are query and gallery."""

    query: list[int]
    gallery: list[int]


def hashed(*words: object) -> int:
    """SHA-256 of the words as a number."""
    text = "/".join(str(word) for word in words)
    return int(sha256(text.encode()).hexdigest(), 16)


def choose_people(name: str, split: int) -> Draw:
    """The persons that a split tests.

    For i-LIDS also, per person, which image is the query and which of the others the gallery.
    """
    design = DESIGNS[name]
    people = sorted(range(design.people), key=lambda person: hashed(SEED, name, split, person))
    draw = {"people": sorted(people[: design.tested])}
    for role in ("query", "gallery") if design.pairs else ():
        images = [hashed(SEED, name, split, person, role) % DRAW for person in draw["people"]]
        draw[role] = images
    return draw


def draw_splits(name: str) -> list[Draw]:
    return [choose_people(name, split) for split in range(NUM_SPLITS)]


def checksum(draws: Sequence[Draw]) -> str:
    return sha256(json.dumps(draws).encode()).hexdigest()


def write_splits(folder: Path) -> list[Path]:
    """Write one file for each of the four sets, for other programs; the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, design in DESIGNS.items():
        draws = draw_splits(name)
        head = {"set": name, "seed": SEED, "people": design.people, "sha256": checksum(draws)}
        rows = ",\n".join("  " + json.dumps(draw) for draw in draws)
        text = json.dumps(head, indent=1)[:-2] + f',\n "splits": [\n{rows}\n ]\n}}\n'
        files.append(folder / f"{name}.json")
        files[-1].write_text(text, encoding="utf-8")
    return files


def read_partitions(file: Path) -> list[Draw]:
    """GRID's own ten partitions: who isn't in the training half is tested.

    Raises ValueError on another file.
    """
    from scipy.io import loadmat  # takes a third of a second to import

    design, draws = DESIGNS["grid"], []
    everybody = set(range(design.people))
    with naming(file, "; without it the seeded splits are used"):
        cells = loadmat(file, variable_names=["trainIdxAll"])["trainIdxAll"].ravel()
        for cell in cells:
            half = {int(number) - 1 for number in cell.ravel()[0][2].ravel()}  # the third field
            if len(half) == design.tested and half <= everybody:
                draws.append({"people": sorted(everybody - half)})
        if not len(draws) == len(cells) == NUM_SPLITS:
            what = f"{design.tested} of {design.people} persons"
            raise ValueError(f"trainIdxAll does not hold {NUM_SPLITS} times {what}")
    return draws


def splits_of(listing: Listing) -> tuple[tuple[Split, ...], str]:
    """The splits of one of the four sets as rows of its listing, and where they come from.

    Raises ValueError when the listing doesn't have the persons that the splits were drawn from, or
    other pictures of them.
    """
    name, design = listing.name, DESIGNS[listing.name]
    if name == "grid" and (listing.root / PARTITIONS).is_file():
        draws, origin = read_partitions(listing.root / PARTITIONS), PARTITIONS
    else:
        draws = draw_splits(name)
        origin = f"seeded, sha256 {checksum(draws)[:16]}"
    query, gallery = rows_by_person(listing, "query"), rows_by_person(listing, "gallery")
    if design.pairs:
        what = "with two images or more"
        people = sorted(pid for pid, rows in gallery.items() if len(rows) > 1)
    else:
        what = "in query and gallery"
        people = sorted(query.keys() & gallery.keys())
    if len(people) != design.people:
        raise ValueError(
            f"{listing.root}: {name} has {len(people)} persons {what}, not {design.people}, so its "
            f"splits do not fit. {MEND}"
        )
    splits = []
    for number, draw in enumerate(draws):
        if design.pairs:
            split = split_pairs(draw, people, gallery)
        else:
            split = split_cameras(draw, people, query, gallery)
        splits.append(split)
        if (len(split.query), len(split.gallery)) != (design.tested, design.gallery):
            raise ValueError(
                f"{listing.root}: {name}'s split {number} has {len(split.query)} query and "
                f"{len(split.gallery)} gallery pictures, not {design.tested} and "
                f"{design.gallery}: pictures were added or are missing. {MEND}"
            )
    return tuple(splits), origin


def rows_by_person(listing: Listing, part: str | None = None) -> dict[int, list[int]]:
    """pid -> rows of the listing, of one part or of all."""
    rows = defaultdict(list)
    for row, picture in enumerate(listing.pictures):
        if part in (None, picture.part):
            rows[picture.pid].append(row)
    return rows


def split_cameras(
    draw: Draw, people: list[int], query: dict[int, list[int]], gallery: dict[int, list[int]]
) -> Split:
    """All images of the tested persons; the gallery keeps whoever is in no query of any split."""
    tested = [people[place] for place in draw["people"]]
    kept = gallery.keys() - (set(people) - set(tested))
    query_rows = [row for pid in tested for row in query[pid]]
    gallery_rows = [row for pid in gallery if pid in kept for row in gallery[pid]]
    return Split(query_rows, gallery_rows)


def split_pairs(draw: Draw, people: list[int], images: dict[int, list[int]]) -> Split:
    """One image of each tested person as the query, another one as the gallery."""
    split = Split([], [])
    for place, query, gallery in zip(draw["people"], draw["query"], draw["gallery"], strict=True):
        rows = list(images[people[place]])
        split.query.append(rows.pop(query % len(rows)))
        split.gallery.append(rows[gallery % len(rows)])
    return split


def hold_out(listing: Listing, num_ids: int) -> tuple[Listing, Listing, Split]:
    """The listing without `num_ids` persons, those alone, and a split of their pictures.

    The split's query has one picture of each, its gallery all others. SHA-256 of set and number
    decides who is held out, among those whom two cameras saw: every run holds out the same.
    Raises ValueError when there are not more such persons.
    """
    cameras = defaultdict(set)
    for picture in listing.pictures:
        cameras[picture.pid].add(picture.camid)
    seen_twice = [pid for pid in cameras if len(cameras[pid]) > 1]
    if not 0 < num_ids < len(seen_twice):
        raise ValueError(
            f"{listing.name}: cannot hold out {num_ids} of {len(seen_twice)} persons seen by two "
            "cameras"
        )
    seen_twice.sort(key=lambda pid: hashed("held out", listing.name, pid))
    chosen = set(seen_twice[:num_ids])
    rest = [picture for picture in listing.pictures if picture.pid not in chosen]
    kept = [picture for picture in listing.pictures if picture.pid in chosen]
    kept.sort(key=lambda picture: picture.pid)  # persons in order, pictures of one as they were
    validation, split = replace(listing, pictures=tuple(kept)), Split([], [])
    for pid, rows in rows_by_person(validation).items():
        drawn = hashed("held out", listing.name, pid, "query") % len(rows)
        split.query.append(rows.pop(drawn))
        split.gallery.extend(rows)
    return replace(listing, pictures=tuple(rest)), validation, split
