"""The drawn sets of lesson 11: what is stored is what the real sets' readers find."""

from collections import Counter

import pytest

from metabin.course import drawn_sets
from metabin.datasets import SETS
from metabin.streets import World, make_streets

SMALL = World(height=16, width=8)


@pytest.mark.parametrize("name", drawn_sets.SETS)
def test_a_sets_reader_finds_every_drawn_picture_with_its_person(tmp_path, name):
    street, _, pictures = drawn_sets.SETS[name]
    people = drawn_sets.MARKET_TEST + 2 if name == "market1501" else 7
    streets = make_streets(SMALL, [street], people, images_per_camera=pictures)
    drawn_sets.write_sets({name: streets}, tmp_path / "sets")
    read = SETS[name].read(tmp_path / "sets").pictures
    stored = Counter(picture.pid for picture in read if picture.part != "query" or name == "viper")
    assert sorted(stored.values()) == [2 * pictures] * people
    assert len({picture.file for picture in read}) == len(read)
    if name == "market1501":  # each camera's first picture of who is searched is the query, too
        assert sum(picture.part == "query" for picture in read) == 2 * 2


def test_sets_that_are_there_are_not_written_again(tmp_path):
    streets = make_streets(SMALL, [5], 2, images_per_camera=1)
    root = tmp_path / "sets"
    drawn_sets.write_sets({"viper": streets}, root)
    [first, *_] = sorted(root.rglob("*.bmp"))
    first.unlink()
    drawn_sets.write_sets({"viper": streets}, root)
    assert not first.exists() and not (tmp_path / "sets.part").exists()


def test_a_set_whose_files_are_not_known_is_refused():
    with pytest.raises(ValueError, match="no file names for 'prid'"):
        drawn_sets.file_of("prid", 0, 0, 0)
