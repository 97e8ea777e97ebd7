"""The splits of the four small sets: the same for everyone, and they test whom they say."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from metabin.datasets.command import main
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.splits import DESIGNS, PARTITIONS, draw_splits, splits_of

COMMITTED = Path(__file__).parents[1] / "data" / "splits"


def listing(name: str, rows: list[tuple[int, int, str]], root: Path = Path("set")) -> Listing:
    """Pictures that nobody decodes, from (pid, camera, part)."""
    return Listing(name, root, tuple(Picture(Path(f"{k}.png"), *row) for k, row in enumerate(rows)))


def viper() -> Listing:
    numbers = [k + k // 3 for k in range(632)]  # with gaps
    rows = [(pid, 0, "query") for pid in numbers] + [(pid, 1, "gallery") for pid in numbers]
    return listing("viper", rows)


def prid() -> Listing:
    """200 persons in both cameras, 185 only in camera a, 549 only in camera b."""
    rows = [(pid, 0, "query") for pid in [*range(200), *range(749, 934)]]
    return listing("prid", rows + [(pid, 1, "gallery") for pid in range(749)])


def grid(root: Path = Path("grid")) -> Listing:
    rows = [(pid, 0, "query") for pid in range(250)]
    rows += [(-1, 2, "gallery")] * 775 + [(pid, 1, "gallery") for pid in range(250)]
    return listing("grid", rows, root)


IMAGES = [2 + pid % 6 for pid in range(119)]  # 2 … 7 images a person


def ilids() -> Listing:
    rows = [(pid, image, "gallery") for pid in range(119) for image in range(IMAGES[pid])]
    return listing("ilids", rows)


SETS = {"viper": viper, "prid": prid, "grid": grid, "ilids": ilids}
SIZES = {"viper": (316, 316), "prid": (100, 649), "grid": (125, 900), "ilids": (60, 60)}


def test_the_command_writes_the_committed_files_byte_by_byte(tmp_path):
    assert main(["splits", "--folder", str(tmp_path)]) == 0
    files = sorted(tmp_path.iterdir())
    assert [file.stem for file in files] == sorted(DESIGNS)
    for file in files:
        assert file.read_bytes() == (COMMITTED / file.name).read_bytes()


@pytest.mark.parametrize("name", DESIGNS)
def test_ten_draws_differ_and_hold_each_person_about_as_often_as_chance_says(name):
    drawn = [split["people"] for split in draw_splits(name)]
    people, tested, *_ = DESIGNS[name]
    assert len(drawn) == 10 and len({tuple(split) for split in drawn}) == 10
    for split in drawn:
        assert split == sorted(set(split)) and len(split) == tested
        assert 0 <= split[0] and split[-1] < people
    # binomial (10, about half): variance 2.5
    often = np.bincount(np.concatenate(drawn), minlength=people)
    assert abs(often.mean() - 10 * tested / people) < 1e-9 and 1.5 < often.var() < 3.5


@pytest.mark.parametrize("name", SETS)
def test_every_split_has_the_published_sizes_and_every_query_a_match_by_another_camera(name):
    people = SETS[name]()
    splits, origin = splits_of(people)
    assert len(splits) == 10 and origin.startswith("seeded, sha256 ")
    for query, gallery in splits:
        assert (len(query), len(gallery)) == SIZES[name] and not set(query) & set(gallery)
        seen = {(people.pictures[row].pid, people.pictures[row].camid) for row in gallery}
        for row in query:
            pid, camera = people.pictures[row].pid, people.pictures[row].camid
            assert any(other == pid and place != camera for other, place in seen)


def test_a_person_is_its_place_among_the_numbers_whatever_the_order_of_the_pictures():
    people = viper()
    numbers = sorted({picture.pid for picture in people.pictures})
    for some in (people, Listing("viper", people.root, people.pictures[::-1])):
        for split, draw in zip(splits_of(some)[0], draw_splits("viper"), strict=True):
            assert {some.pictures[row].pid for row in split.query} == {
                numbers[place] for place in draw["people"]
            }
            assert {some.pictures[row].part for row in split.gallery} == {"gallery"}


def test_the_gallery_keeps_who_only_camera_b_saw_and_distractors_but_nobody_of_another_half():
    def pids(people: Listing) -> list[list[int]]:
        """Of query and gallery of the first split."""
        return [[people.pictures[row].pid for row in rows] for rows in splits_of(people)[0][0]]

    query, gallery = pids(prid())
    assert set(gallery) == set(query) | set(range(200, 749))
    query, gallery = pids(grid())
    assert gallery.count(-1) == 775 and set(gallery) == set(query) | {-1}


def test_an_image_pair_of_ilids_is_drawn_fairly_from_however_many_images_there_are():
    people = ilids()
    places = {number: [0] * number for number in range(2, 8)}
    for split in splits_of(people)[0]:
        for q, g in zip(*split, strict=True):
            a, b = people.pictures[q], people.pictures[g]
            assert a.pid == b.pid and a.camid != b.camid
            places[IMAGES[a.pid]][a.camid] += 1
    for number, often in places.items():
        share, error = np.array(often) / sum(often), (1 / number / sum(often)) ** 0.5
        assert abs(share - 1 / number).max() < 4.5 * error


@pytest.mark.parametrize("name", SETS)
def test_a_set_with_another_number_of_people_is_refused(name):
    people, num = SETS[name](), DESIGNS[name].people
    fewer = tuple(picture for picture in people.pictures if picture.pid != 5)
    with pytest.raises(ValueError, match=f"has {num - 1} persons .* not {num}"):
        splits_of(Listing(name, people.root, fewer))


@pytest.mark.parametrize("name, row", [("viper", (3, 1)), ("prid", (700, 1)), ("grid", (-1, 0))])
def test_a_picture_too_many_is_refused_with_what_was_counted_and_expected(name, row):
    people = SETS[name]()
    more = (*people.pictures, Picture(Path("copy.png"), *row, "gallery"))
    query, gallery = SIZES[name]
    message = f"has {query} query and {gallery + 1} gallery pictures, not {query} and {gallery}: "
    with pytest.raises(ValueError, match=f"{name}'s split .* {message}"):
        splits_of(Listing(name, people.root, more))


def write_partitions(file: Path, halves: list[list[int]]) -> None:
    """As GRID's file: cells, each a struct whose third field holds the training half's people."""
    cells = np.empty((1, len(halves)), object)
    for column, half in enumerate(halves):
        fields = [(name, object) for name in ("probe", "gallery", "people")]
        cells[0, column] = np.array([[(np.arange(9), np.arange(9), np.array([half]))]], fields)
    savemat(file, {"trainIdxAll": cells, "features": np.zeros((3, 3))})


def test_grid_is_tested_on_its_own_partitions_where_they_are_there(tmp_path):
    rng = np.random.default_rng(0)
    halves = [sorted((rng.permutation(250)[:125] + 1).tolist()) for _ in range(10)]
    write_partitions(tmp_path / PARTITIONS, halves)
    people = grid(tmp_path)
    splits, origin = splits_of(people)
    assert origin == PARTITIONS
    for (query, gallery), half in zip(splits, halves, strict=True):
        tested = {people.pictures[row].pid + 1 for row in query}
        assert tested == set(range(1, 251)) - set(half) and len(gallery) == 900


HALF = list(range(1, 126))


@pytest.mark.parametrize("halves", [[HALF] * 9, [HALF[:-1]] * 10, [[*HALF[:-1], 251]] * 10, None])
def test_a_damaged_partitions_file_is_named_with_what_to_do(tmp_path, halves):
    write_partitions(tmp_path / PARTITIONS, halves or [HALF] * 10)
    if halves is None:
        (tmp_path / PARTITIONS).write_bytes(b"MATLAB 5.0 MAT-file" + bytes(100))
    with pytest.raises(ValueError, match=rf"{PARTITIONS}.*the seeded splits are used"):
        splits_of(grid(tmp_path))
