"""Readers of real data, on small trees that the tests write themselves."""

import io
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_datasets as fake
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metabin.datasets import SETS, DataSet, Listing, Picture, folders, list_own, write_market1501
from metabin.datasets.command import main
from metabin.datasets.cuhk03 import read_inside
from metabin.datasets.doctor import check_sets
from metabin.datasets.listing import UNKNOWN_CAMERA
from metabin.datasets.load import load_images
from metabin.datasets.own import number_words, plain_word
from metabin.streets import World, make_streets, query_gallery

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def streets():
    return make_streets(World(style=0.3), [2], num_ids=4, cameras=2, images_per_camera=2)


def parsed(text):
    """(file, pid, camid, part) from a line each."""
    rows = [line.split() for line in text.strip().splitlines()]
    return [(file, int(pid), int(camid), part) for file, pid, camid, part in rows]


# What each miniature tree holds, worked out by hand, in the order of the listing.
TREES = {
    "cuhk03": parsed("""
        1_001_1_01.png    0 0 train
        1_001_1_02.png    0 0 train
        1_001_2_06.png    0 1 train
        1_002_1_03.png    1 0 train
        1_002_2_10.png    1 1 train
        2_001_1_01.png 1000 2 train
        2_001_2_07.png 1000 3 train"""),
    "market1501": parsed("""
        0002_c1s1_000451_03.jpg  1 0 train
        0002_c3s1_000551_00.jpg  1 2 train
        0007_c2s3_070952_01.jpg  6 1 train
        0007_c6s4_001902_01.jpg  6 5 train
        0003_c1s6_015971_00.jpg  2 0 query
        0005_c4s1_000301_00.jpg  4 3 query
        0000_c5s1_000151_01.jpg -1 4 gallery
        0003_c2s1_000476_01.jpg  2 1 gallery
        0003_c6s1_000076_02.jpg  2 5 gallery
        0005_c1s1_001001_01.jpg  4 0 gallery"""),
    "dukemtmc": parsed("""
        0001_c2_f0046182.jpg 0 1 train
        0001_c8_f0046302.jpg 0 7 train
        0005_c2_f0046985.jpg 4 1 query
        0005_c1_f0051341.jpg 4 0 gallery
        0009_c3_f0066182.jpg 8 2 gallery"""),
    "cuhksysu": parsed("""
        s1.jpg 0 0 train
        s3.jpg 0 1 train
        s1.jpg 4 0 train
        s2.jpg 4 1 train"""),
    "msmt17": parsed("""
        0000_000_01_0303morning_0015_0.jpg    0  0 train
        0001_000_04_0303noon_0020_1.jpg       1  3 train
        0001_001_05_0303noon_0021_1.jpg       1  4 train
        0000_000_01_0303morning_0100_0.jpg 1041  0 query
        0001_002_15_0303noon_0100_0.jpg    1042 14 query
        0000_001_07_0303noon_0300_0.jpg    1041  6 gallery
        0001_003_02_0303noon_0301_0.jpg    1042  1 gallery"""),
    "viper": parsed("""
        000_45.bmp   0 0 query
        001_0.bmp    1 0 query
        045_90.bmp  45 0 query
        000_135.bmp  0 1 gallery
        001_90.bmp   1 1 gallery
        045_180.bmp 45 1 gallery"""),
    "prid": parsed("""
        person_0001.png   0 0 query
        person_0200.png 199 0 query
        person_0201.png 749 0 query
        person_0001.png   0 1 gallery
        person_0200.png 199 1 gallery
        person_0201.png 200 1 gallery
        person_0749.png 748 1 gallery"""),
    "grid": parsed("""
        0001_1_25004_107_32_106_221.jpeg    0 0 query
        0250_5_30109_4_63_115_263.jpeg    249 4 query
        0000_3_1_2_3_4_5.jpeg              -1 2 gallery
        0000_7_1_2_3_4_6.jpeg              -1 6 gallery
        0001_2_25023_116_134_128_330.jpeg   0 1 gallery
        0250_8_30213_60_32_84_172.jpeg    249 7 gallery"""),
    "ilids": parsed("""
        0001001.jpg   0 0 gallery
        0001002.jpg   0 1 gallery
        0001003.jpg   0 2 gallery
        0119001.jpg 118 0 gallery
        0119004.jpg 118 3 gallery"""),
    "cuhk02": [],
}
for pair, view, n, k in itertools.product(range(5), (0, 1), (0, 1), (0, 1)):
    row = f"00{1 + n}_{10 + 10 * view + k}.png", 1000 * pair + n, 2 * pair + view, "train"
    TREES["cuhk02"].append(row)
BY_LIST = {"msmt17", "cuhksysu"}  # which pictures these have is said in a file


def rows(listing):
    return [(p.file.name, p.pid, p.camid, p.part) for p in listing.pictures]


def labels(listing):
    return [row[1:] for row in rows(listing)]


def expected_labels(name):
    return [row[1:] for row in TREES[name]]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """All ten sets side by side in a folder with a space and an umlaut; to be read only."""
    return fake.write_every_set(tmp_path_factory.mktemp("data") / "Räume 1")


# finding a set


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_read_among_all_others_as_worked_out_by_hand(name, data_root):
    listing = SETS[name].read(data_root)
    assert listing.name == name and rows(listing) == TREES[name] and not listing.remarks
    for picture in listing.pictures:
        assert picture.file.is_file() and picture.file.is_relative_to(listing.root)


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_found_in_its_own_folder_and_through_links_and_is_no_other_set(name, tmp_path):
    write, usual = fake.FAKES[name]
    folder = write(tmp_path / "disk" / "x")
    assert [other for other in SETS if SETS[other].find(folder)] == [name]
    assert SETS[name].find(tmp_path) is None  # not by chance in a folder that says nothing
    (tmp_path / "links" / "sets").mkdir(parents=True)
    (tmp_path / "links" / "sets" / usual.split("/")[0].upper()).symlink_to(folder)
    for root in (folder, tmp_path / "links", tmp_path / "links" / "sets"):
        assert rows(SETS[name].read(root)) == TREES[name]


def test_what_isnt_there_is_said_with_the_layout_that_was_expected(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError) as error:
            SETS["viper"].read(root)
        assert SETS["viper"].layout in str(error.value) and str(root) in str(error.value)


@pytest.mark.parametrize("name", SETS)
def test_names_of_folders_and_lists_are_found_in_whatever_case(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    names = set()
    for picture in SETS[name].read(tmp_path).pictures:
        names |= set(picture.file.relative_to(tmp_path).parts[:-1])
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        if path.suffix in (".txt", ".mat") or path.name in names:
            path.rename(path.with_name(path.name.swapcase()))
    assert labels(SETS[name].read(tmp_path)) == expected_labels(name)


def test_of_several_copies_the_largest_is_read_and_the_others_are_named(tmp_path):
    for place in ("market old", "market1501", "Market-new"):
        fake.write_market1501(tmp_path / place)
    next((tmp_path / "Market-new/query").iterdir()).unlink()
    shutil.rmtree(tmp_path / "market old/bounding_box_train")
    listing = SETS["market1501"].read(tmp_path)
    assert listing.root == tmp_path / "market1501"
    (remark,) = listing.remarks  # what is wrong with the others doesn't matter
    assert f"also in {tmp_path / 'Market-new'}, {tmp_path / 'market old'}, not used" in remark


def test_a_broken_copy_doesnt_hide_a_whole_one_nor_an_undivided_one_a_divided_one(tmp_path):
    fake.write_viper(tmp_path / "VIPeR")
    fake.write_viper(tmp_path / "viper broken")
    shutil.rmtree(tmp_path / "VIPeR/cam_b")
    listing = SETS["viper"].read(tmp_path)
    assert rows(listing) == TREES["viper"] and "VIPeR, not used" in listing.remarks[0]
    fake.write_cuhk03_np(tmp_path / "cuhk03-np")
    fake.write_all(tmp_path / "cuhk03/images_detected", [f"1_001_1_0{k}.png" for k in range(1, 5)])
    assert len(SETS["cuhk03"].read(tmp_path).part("query")) == 1


def test_another_sets_folder_that_begins_alike_is_not_read(tmp_path):
    fake.write_ilids(tmp_path / "iLIDS-VID")
    fake.write_prid(tmp_path / "prid_450s")
    assert SETS["ilids"].find(tmp_path) is None and SETS["prid"].find(tmp_path) is None


def test_a_set_that_is_added_from_outside_the_package_can_be_checked(tmp_path, monkeypatch, capsys):
    """tests/test_adding.py trains on one and tests on it."""

    def list_mine(folder):
        files = sorted(folder.glob("mine_*.png"))
        pictures = [Picture(file, 0, camera, "train") for camera, file in enumerate(files)]
        return Listing("mine", folder, tuple(pictures)) if files else None

    mine = DataSet("mine", "Mine", "mine_1.png", ("mine",), list_mine, notice="Ask me first.")
    monkeypatch.setitem(SETS, "mine", mine)
    fake.write_all(tmp_path / "mine", "mine_1.png mine_2.png")
    words = f"check --data-root {tmp_path} --set mine --opt-in mine"
    assert main(words.split()) == 0
    assert "Mine (source, target): complete" in capsys.readouterr().out


def test_readers_and_doctor_start_without_torch():
    program = """
import sys, metabin.datasets.doctor, metabin.datasets.command
metabin.datasets.command.parser()
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


# names of files


@pytest.mark.parametrize("name", SETS)
def test_dirt_changes_nothing_and_other_pictures_and_files_are_counted(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    folders = {picture.file.parent for picture in SETS[name].read(tmp_path).pictures}
    for folder in folders:
        for file in "Thumbs.db .DS_Store ._0001_c1s1_000000_00.jpg desktop.ini notes.txt".split():
            (folder / file).write_bytes(b"\0\1")
        (folder / "0001.jpg").mkdir()
        (folder / "0001_c1s1_000000_00.heic").write_bytes(b"\0\1")
        fake.write_picture(folder / "picture (1).JPG")
    (tmp_path / "__MACOSX").mkdir()
    listing = SETS[name].read(tmp_path)
    assert rows(listing) == TREES[name]
    if name not in BY_LIST:
        text = "\n".join(listing.remarks)
        assert len(listing.remarks) == 2 * len(folders)
        assert "left out 1 pictures with another name, e.g. 'picture (1).JPG'" in text
        assert "left out 1 files that are not known as pictures, e.g. '0001_c1s1" in text


CHANGES = {
    "a double suffix": lambda name: name + ".jpg",
    "an upper-case suffix": lambda name: name[: name.index(".")] + name[name.index(".") :].upper(),
    "no suffix": lambda name: name[: name.index(".")],
    "another suffix": lambda name: name[: name.index(".")] + ".webp",
}
COPIED = {
    "a second copy": lambda name: name.replace(".", " (1)."),
    "a Mac's copy": lambda name: name.replace(".", " copy."),
    "a Windows copy": lambda name: name.replace(".", " - Copy (2)."),
    "a copy of": lambda name: f"Copy of {name}",
    "a space": lambda name: name + " ",
}


@pytest.mark.parametrize("change", CHANGES | COPIED)
def test_every_set_is_read_under_the_names_that_people_have(change, tmp_path):
    fake.write_every_set(tmp_path)
    for name, dataset in SETS.items():
        files = {picture.file for picture in dataset.read(tmp_path).pictures}
        for file in files:
            file.rename(file.with_name((CHANGES | COPIED)[change](file.name)))
        listing = dataset.read(tmp_path)
        assert sorted(labels(listing)) == sorted(expected_labels(name))
        said = "names a copy tool changed, e.g." in " ".join(listing.remarks)
        assert said == (change in COPIED and name not in BY_LIST)


@pytest.mark.parametrize("change", COPIED)
def test_a_copy_beside_its_original_is_left_out_and_counted(change, tmp_path):
    fake.write_every_set(tmp_path)
    for name, dataset in SETS.items():
        file = dataset.read(tmp_path).pictures[0].file
        shutil.copy(file, file.with_name(COPIED[change](file.name)))
        listing = dataset.read(tmp_path)
        assert rows(listing) == TREES[name]
        if name not in BY_LIST:
            assert "left out 1 copies of pictures that are there" in listing.remarks[0]


def test_empty_files_and_links_to_nowhere_are_listed(tmp_path):
    files = [p.file for p in SETS["viper"].read(fake.write_viper(tmp_path)).pictures]
    files[0].write_bytes(b"")
    os.replace(files[1], tmp_path / "moved")
    files[1].symlink_to(tmp_path / "no such file")
    assert rows(SETS["viper"].read(tmp_path)) == TREES["viper"]


def test_market_1501_is_complete_with_its_double_suffixes(tmp_path, monkeypatch, capsys):
    """As distributed, 6 queries and 18 pictures of the gallery end in .jpg.jpg, junk among them."""

    def some(pids, count):
        """So many names of these persons, in turn, by all six cameras."""
        people = itertools.islice(itertools.cycle(pids), count)
        return [f"{pid:04d}_c{1 + k % 6}s1_{k:06d}_00" for k, pid in enumerate(people)]

    junk = [f"-1_c4s6_{k:06d}_11" for k in range(3819)]
    distractors = [f"0000_c2s1_{k:06d}_01" for k in range(2798)]
    names = {
        "bounding_box_train": some(range(2, 1503, 2), 12936),
        "query": some(range(1, 1501, 2), 3368),
        "bounding_box_test": junk + some(range(1, 1501, 2), 13115) + distractors,
    }
    double = {*names["query"][:6], *junk[:9], *names["bounding_box_test"][3819:3828]}
    for place in names:
        (tmp_path / "Market-1501-v15.09.15" / place).mkdir(parents=True)

    def files_of(folder):
        stems = names.get(folder.name, [])
        return [folder / f"{stem}.jpg{'.jpg' * (stem in double)}" for stem in sorted(stems)]

    monkeypatch.setattr(folders, "files_of", files_of)  # 32,668 files take seconds to write
    assert check_sets(tmp_path, ["market1501"], fast=True) == 0
    assert "Market-1501 (source, target): complete" in capsys.readouterr().out
    listing = SETS["market1501"].read(tmp_path)
    assert [len(listing.part(part)) for part in ("query", "gallery")] == [3368, 15913]
    assert len(listing.ids) == 1501 and listing.left_out == ("3,819 junk pictures (person -1)",)


# counts and parts


def test_the_expected_counts_are_the_papers_sums():
    def total(name):  # distractors aside, as the paper counts
        counts = SETS[name].expected[0]
        test_ids = max((ids for part, (ids, _) in counts.items() if part != "train"), default=0)
        return counts["train"][0] + test_ids, sum(pictures for _, pictures in counts.values())

    sources = [total(name) for name in ("market1501", "dukemtmc", "cuhk02", "cuhk03", "cuhksysu")]
    assert [sum(column) for column in zip(*sources, strict=True)] == [18_530, 121_765 + 2_798]
    assert total("msmt17") == (4_101, 126_441)
    assert [name for name, dataset in SETS.items() if dataset.opt_in] == ["dukemtmc"]


def test_the_data_readme_tells_the_counts_that_the_doctor_expects():
    lines = (ROOT / "data" / "README.md").read_text(encoding="utf-8").splitlines()
    for dataset in SETS.values():
        (row,) = [line for line in lines if line.startswith(f"| **{dataset.title}** |")]
        for counts in dataset.expected:
            parts = [f"{part} {ids:,} / {num:,}" for part, (ids, num) in counts.items()]
            assert " · ".join(parts) in row, dataset.title
        assert f"`{dataset.folders[0]}`" in row and dataset.role in row


def test_parts_of_a_listing_are_asked_for_by_name(data_root):
    market = SETS["market1501"].read(data_root)
    assert market.left_out == ("1 junk pictures (person -1)",)
    assert [len(market.part(part)) for part in ("train", "query", "gallery")] == [4, 2, 4]
    assert market.part("gallery").ids == {2, 4} and market.cameras == set(range(6))
    assert len(market.people()) == len(market) - 1
    with pytest.raises(ValueError, match="no part 'probe': choose from train, query, gallery"):
        market.part("probe")


# what is special about some sets


def test_cuhk03s_hdf5_file_holds_what_its_extracted_images_show(tmp_path):
    pytest.importorskip("h5py")
    root = fake.write_cuhk03_mat(tmp_path / "cuhk03" / "cuhk03_release")
    listing = SETS["cuhk03"].read(tmp_path)
    assert labels(listing) == expected_labels("cuhk03")
    pictures = iter(listing.pictures)
    for person, columns in fake.CUHK03.items():
        for column in columns:
            pixels = read_inside(root / "cuhk-03.mat", next(pictures).inside)
            assert np.array_equal(pixels, fake.cuhk03_pixels(*person, column))


@pytest.mark.parametrize("number", [int, float])
@pytest.mark.parametrize("write", [fake.write_cuhk03_mat, fake.write_cuhk03_extracted])
def test_cuhk03_is_divided_where_its_new_protocol_lies_beside_it(write, number, tmp_path):
    pytest.importorskip("h5py")
    write(tmp_path / "cuhk03" / ("cuhk03_release" if write is fake.write_cuhk03_mat else ""))
    fake.write_cuhk03_division(tmp_path / "cuhk03", number)
    listing = SETS["cuhk03"].read(tmp_path)
    expected = [(0, 0, "train"), (0, 0, "train"), (0, 1, "train"), (1, 0, "query")]
    assert labels(listing) == [*expected, (1, 1, "gallery")]
    assert "2 pictures that cuhk03_new_protocol" in listing.left_out[0]


def test_cuhk03_np_is_read_from_its_detected_boxes(tmp_path):
    fake.write_cuhk03_np(tmp_path / "cuhk03-np")
    expected = [(0, 0, "train"), (0, 1, "train"), (3, 0, "query"), (3, 1, "gallery")]
    assert labels(SETS["cuhk03"].read(tmp_path)) == expected


def test_a_damaged_or_unreadable_hdf5_file_is_named_with_what_to_do(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    file = fake.write_cuhk03_mat(tmp_path) / "cuhk-03.mat"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"cannot read .*cuhk-03.mat.* Copy it again"):
        SETS["cuhk03"].find(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="cuhk-03.mat needs h5py: pip install h5py"):
        SETS["cuhk03"].find(tmp_path)


def test_cuhk_sysus_boxes_cut_out_what_matlab_cuts_out(data_root):
    scenes = itertools.chain(*fake.SYSU.values())
    pictures = SETS["cuhksysu"].read(data_root).pictures
    for picture, (_, (x, y, width, height)) in zip(pictures, scenes, strict=True):
        with Image.open(picture.file) as scene:
            pixels = np.asarray(scene)
        # I(y : y + height, x : x + width, :), rows and columns counted from 1, both ends within
        r, c = np.meshgrid(range(y, y + height + 1), range(x, x + width + 1), indexing="ij")
        left, top, right, bottom = picture.box
        assert np.array_equal(pixels[top:bottom, left:right], pixels[r - 1, c - 1])


@pytest.mark.parametrize("write", [fake.write_cuhksysu_cropped, fake.write_cuhksysu_matlab])
def test_cuhk_sysu_is_read_from_pictures_that_were_cut_out_already(write, tmp_path):
    write(tmp_path / "CUHK-SYSU")
    listing = SETS["cuhksysu"].read(tmp_path)
    assert sorted(labels(listing)) == sorted(expected_labels("cuhksysu"))
    assert all(picture.box is None for picture in listing.pictures)


def test_cuhk_sysus_missing_scenes_are_counted_and_a_damaged_annotation_is_named(tmp_path):
    fake.write_cuhksysu(tmp_path)
    (tmp_path / "Image/SSM/s1.jpg").unlink()
    listing = SETS["cuhksysu"].read(tmp_path)
    assert [row[0] for row in rows(listing)] == ["s3.jpg", "s2.jpg"]
    assert "left out 2 persons whose scene is missing, e.g. 's1.jpg'" in listing.remarks[0]
    (tmp_path / "annotation/Person.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    with pytest.raises(ValueError, match=r"cannot read .*Person.mat.* Copy it again"):
        SETS["cuhksysu"].find(tmp_path)


def test_what_msmt17s_lists_name_and_the_disk_lacks_is_counted(tmp_path):
    fake.write_msmt17(tmp_path)
    (tmp_path / "test/0000/0000_001_07_0303noon_0300_0.jpg").unlink()
    listing = SETS["msmt17"].read(tmp_path)
    assert len(listing) == 6
    what = "left out 1 pictures of list_gallery.txt that are missing in test, e.g. '0000/0000_001"
    assert what in listing.remarks[0]
    (tmp_path / "list_query.txt").write_text("\n0000/0000_000_01_0303morning_0100_0.jpg\n")
    with pytest.raises(ValueError, match="list_query.txt, line 2: expected a path and a person's"):
        SETS["msmt17"].find(tmp_path)
    for name in ("list_query.txt", "list_val.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match="lacks list_val.txt, list_query.txt"):
        SETS["msmt17"].find(tmp_path)


@pytest.mark.parametrize("release", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17s_releases_are_read_and_their_lists_may_name_the_folder_as_well(release, tmp_path):
    fake.write_msmt17(tmp_path, *release)
    assert rows(SETS["msmt17"].read(tmp_path)) == TREES["msmt17"]
    for file in tmp_path.glob("list_*.txt"):
        place = release[file.stem in ("list_query", "list_gallery")]
        lines = [f"{place}/{line}\n" for line in file.read_text().splitlines()]
        file.write_text("".join(lines))
    assert rows(SETS["msmt17"].read(tmp_path)) == TREES["msmt17"]
    shutil.rmtree(tmp_path / release[1])
    with pytest.raises(ValueError, match=r"none of the pictures of .*list_query.txt is in"):
        SETS["msmt17"].find(tmp_path)


# people's own pictures


def test_streets_come_back_from_the_disk_with_their_people_and_cameras(tmp_path, streets):
    written = dict(zip(("query", "gallery"), query_gallery(streets), strict=True))
    for part, images in ({"train": streets} | written).items():
        write_market1501(images, tmp_path, part)
        read = load_images(list_own(tmp_path)[0].part(part), (64, 32))
        assert torch.equal(read.pids, images.pids) and torch.equal(read.camids, images.camids)
        difference = (read.images.float() - images.images.float()).abs()
        assert difference.mean() < 2.5 and difference.max() < 60  # what JPEG takes away
    with pytest.raises(ValueError, match="bounding_box_train is not empty"):
        write_market1501(streets, tmp_path)
    file = sorted((tmp_path / "bounding_box_train").iterdir())[0]
    assert file.name == "0001_c1s1_000000_00.jpg"
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (32, 64), "RGB")
        assert {layer[1:3] for layer in picture.layer} == {(1, 1)}  # no colour subsampling


def test_ones_own_pictures_in_markets_layout_are_one_domain_called_like_their_folder(tmp_path):
    folder = tmp_path / "my shop" / "bounding_box_train"
    fake.write_all(folder, "0001_c1_1.png 0002_c3_f001.jpg 0002_c1s1_000001_00.jpg")
    (listing,) = list_own(tmp_path / "my shop")
    assert listing.name == "my shop"
    assert labels(listing) == [(0, 0, "train"), (1, 0, "train"), (1, 2, "train")]
    fake.write_all(folder, "0000_c1_1.png")
    with pytest.raises(ValueError, match="0000 means a distractor.*number people from 0001"):
        list_own(tmp_path / "my shop")
    with pytest.raises(FileNotFoundError, match=r"bounding_box_train/, .*or a .csv file"):
        list_own(tmp_path)


def test_ones_own_folders_may_be_called_like_their_parts_and_hold_folders_of_persons(tmp_path):
    fake.write_all(tmp_path / "plain" / "query", "0003_c1_1.png")
    fake.write_all(tmp_path / "plain" / "gallery", "0003_c2_1.png 0000_c2_2.png")
    (listing,) = list_own(tmp_path / "plain")
    assert labels(listing) == [(2, 0, "query"), (-1, 1, "gallery"), (2, 1, "gallery")]
    people = tmp_path / "people"
    fake.write_all(people / "query", "anna/1.jpg Ben/1.JPG")
    fake.write_all(people / "Gallery", "anna/2.jpg anna/x.png ben/2.jpg -1/junk.jpg")
    (people / "query" / "anna" / "film.avi").touch()
    (listing,) = list_own(people)
    assert listing.name == "people" and listing.left_out == ("1 junk pictures (person -1)",)
    query, gallery = labels(listing)[:2], labels(listing)[2:]
    assert query == [(1, UNKNOWN_CAMERA, "query"), (0, UNKNOWN_CAMERA, "query")]
    assert gallery == [(pid, UNKNOWN_CAMERA, "gallery") for pid in (0, 0, 1)]
    assert "Ben and ben are taken for one person" in listing.remarks[0]
    assert "left out 1 files that are not known as pictures, e.g. 'film.avi'" in listing.remarks[1]
    fake.write_all(tmp_path / "nan" / "query", "nan/1.jpg")
    with pytest.raises(ValueError, match=r"nan/1.jpg: pid is missing"):
        list_own(tmp_path / "nan")


ELSEWHERE = {
    "train/0001_c1_1.jpg train/anna/x.jpg": "train/anna/x.jpg",  # two forms in one part
    "train/anna/x.jpg query/0001_c1_1.jpg": "train/anna/x.jpg",  # or in two
    "train/anna/x.jpg train/y.jpg": "train/y.jpg",
    "train/anna/x.jpg train/anna/monday/y.jpg": "train/anna/monday/y.jpg",
    "train/0001_c1_1.jpg train/more/0002_c1_1.jpg": "train/more/0002_c1_1.jpg",
    "train/anna/x.jpg test/anna/y.jpg": "test/anna/y.jpg",  # no such part
    "train/0001_c1_1.jpg bounding_box_train/0002_c1_1.jpg": "train/0001_c1_1.jpg",
}


@pytest.mark.parametrize("files", ELSEWHERE)
def test_ones_own_pictures_in_folders_that_are_not_read_are_counted(files, tmp_path):
    fake.write_all(tmp_path, files)
    (listing,) = list_own(tmp_path)
    assert len(listing) == 1
    what = f"left out 1 pictures in folders that are not read, e.g. {ELSEWHERE[files]!r}"
    assert listing.remarks == (f"{tmp_path}: {what}",)


def test_cameras_of_persons_folders_are_known_where_all_names_tell_them(tmp_path):
    fake.write_all(tmp_path / "query", "0003/0003_c1s1_000001_00.jpg")
    fake.write_all(tmp_path / "gallery", "0003/0003_c6s1_000001_00.jpg")
    assert labels(list_own(tmp_path)[0]) == [(3, 0, "query"), (3, 5, "gallery")]
    fake.write_all(tmp_path / "gallery", "0003/later.jpg")
    assert list_own(tmp_path)[0].cameras == {UNKNOWN_CAMERA}


def table(folder, text):
    (folder / "people.csv").write_text(text, encoding="utf-8-sig")
    return folder / "people.csv"


def test_ones_own_pictures_in_a_table_are_one_listing_per_domain(tmp_path):
    fake.write_all(tmp_path / "bilder", ["ä 1.jpg", "b,2.png", "c.png", "d.png"])
    text = """path,PID, camid,domain,part
bilder/ä 1.jpg,Zoe,door,shop,
"bilder/b,2.png",Ann,yard, Shop ,query
bilder/c.png,007,2.0,street,Train
bilder/d.png,-1,0,street,gallery
"""
    shop, street = list_own(table(tmp_path, text))
    assert (shop.name, street.name) == ("shop", "street")
    assert rows(shop) == [("ä 1.jpg", 1, 0, "train"), ("b,2.png", 0, 1, "query")]
    assert rows(street) == [("c.png", 7, 2, "train"), ("d.png", -1, 0, "gallery")]


def test_a_table_without_cameras_and_domain_is_one_domain_of_unknown_cameras(tmp_path):
    fake.write_all(tmp_path, "a.jpg b.jpg")
    (listing,) = list_own(table(tmp_path, "path,pid,part\na.jpg,Ann,query\nb.jpg,Ann,gallery\n"))
    assert listing.name == "people"
    assert labels(listing) == [(0, -1, "query"), (0, -1, "gallery")]


HEAD = "path,pid,camid,domain"
WRONG = {
    "path,camid,domain\na.jpg,1,x\n": "no column 'pid'",
    "": "no column 'path'",
    "path;pid;camid;domain;part\na.jpg;1;2;x;nowhere\n": "row 2: no part 'nowhere': choose from",
    f"{HEAD}\na.jpg,,1,x\n": "row 2: pid is missing",
    f"{HEAD}\na.jpg,1,1,x\na.jpg,#N/A,1,x\n": "row 3: pid is missing",
    f"{HEAD}\na.jpg,1,NaN,x\n": "row 2: camid is missing",
    f"{HEAD}\na.jpg,1\n": "row 2: camid is missing .None.: leave the column out where",
    f"{HEAD}\na.jpg,1,-1,x\n": "row 2: camid -1 is below 0",
    f"{HEAD}\na.jpg,1,1,x,7\n": "row 2: more values than",
    f"{HEAD}\na.jpg,1,1,x\nno.jpg,1,1,x\n": "1 pictures are not there, e.g. .*no.jpg .row 3",
    f"{HEAD}\na.jpg,-1,1,x\n": "row 2: a.jpg is a distractor .* outside the gallery",
    f"{HEAD}\na.jpg,-7,1,x\n": "row 2: pid -7 is below -1",
    f"{HEAD}\na.jpg,1,1,x\na.jpg,2,1,y\n": "row 3: .*a.jpg shows 2, but 1 in row 2",
    f"{HEAD},PID\na.jpg,1,1,x,2\n": ": two columns are called 'pid'",
    f"{HEAD}\n": "holds no row",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_table_is_said_with_its_place(text, tmp_path):
    fake.write_all(tmp_path, "a.jpg")
    with pytest.raises(ValueError, match=rf"people\.csv.*{WRONG[text]}"):
        list_own(table(tmp_path, text))


words = st.one_of(
    st.text(st.sampled_from("aäbA_ 012."), min_size=1, max_size=5),
    st.integers(0, 10**25).map(str),
    st.sampled_from(["1_23", "12_3", "123", "é", "e\u0301", "1e2", "100", "٣", "3"]),
).filter(lambda word: plain_word(word))


@given(st.lists(words, min_size=1, max_size=8))
def test_different_people_stay_different_and_equal_ones_equal(people):
    plain = [plain_word(word) for word in people]
    pids = number_words(plain)
    assert all(pid >= 0 for pid in pids)
    for a, first in zip(plain, pids, strict=True):
        for b, second in zip(plain, pids, strict=True):
            assert (first == second) == (a.casefold() == b.casefold())
    again = number_words([plain_word(f"  {word}\t") for word in people])
    assert again == pids


def test_one_word_has_one_number_whatever_its_spelling_and_case_is_remarked(tmp_path):
    assert plain_word("e\u0301  7") == plain_word(" é 7") and plain_word("007.0") == plain_word("7")
    assert plain_word("1_23") != plain_word("12_3") != plain_word("123")
    assert plain_word("anna\u200b") == "anna"
    assert number_words(["Groß", "GROSS", "Grob"]) == [1, 1, 0]
    fake.write_all(tmp_path, "a.jpg b.jpg")
    (listing,) = list_own(table(tmp_path, f"{HEAD}\na.jpg,Ann,1,x\nb.jpg,ann,1,x\n"))
    assert listing.ids == {0} and "Ann and ann are taken for one person" in listing.remarks[0]
