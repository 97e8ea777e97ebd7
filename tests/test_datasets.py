"""Readers of real data, on small trees that the tests write themselves."""

import io
import os
import shutil
import sys
import warnings
from pathlib import Path

import fake_datasets as fake
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from metabin.data.images import ImageSet
from metabin.datasets import SETS, list_own, read_market1501, write_market1501
from metabin.datasets.cuhk03 import read_inside
from metabin.streets import World, make_streets, query_gallery


@pytest.fixture(scope="module")
def streets():
    return make_streets(World(style=0.3), [2], num_ids=4, cameras=2, images_per_camera=2)


@pytest.fixture
def root(tmp_path, streets):
    """A folder in the layout of Market-1501 with a space in its name."""
    root = tmp_path / "my Market"
    write_market1501(streets, root)
    query, gallery = query_gallery(streets)
    write_market1501(query, root, "query")
    write_market1501(gallery, root, "gallery")
    return root


def save(path, colour=(10, 200, 30), size=(32, 64), mode="RGB"):
    Image.new("RGB", size, colour).convert(mode).save(path)


def test_streets_come_back_from_the_disk_with_their_people_and_cameras(root, streets):
    query, gallery = query_gallery(streets)
    for written, read in zip(
        (streets, query, gallery), read_market1501(root, (64, 32)), strict=True
    ):
        assert torch.equal(read.pids, written.pids) and torch.equal(read.camids, written.camids)
        difference = (read.images.float() - written.images.float()).abs()
        assert difference.mean() < 2.5 and difference.max() < 60  # what JPEG takes away
    assert read.names == ("market1501",) and read.num_domains == 1


def test_only_the_parts_that_are_asked_for_are_read(root, streets):
    for file in (root / "bounding_box_test").iterdir():
        file.unlink()
    query, train = read_market1501(root, (64, 32), parts=("query", "train"), name="streets")
    assert (len(query), len(train)) == (len(streets) // 2, len(streets)) and train.names == (
        "streets",
    )
    with pytest.raises(ValueError, match="no part 'probe': choose from train, query, gallery"):
        read_market1501(root, parts=("probe",))


def test_names_are_read_as_the_data_set_means_them(tmp_path):
    folder = tmp_path / "bounding_box_test"
    folder.mkdir()
    for name in (
        "0002_c1s1_000451_03.jpg",
        "1501_c6s4_001902_01.jpg",
        "0000_c3s2_000100_02.jpg",
        "-1_c2s1_000001_00.jpg",
    ):
        save(folder / name)
    (gallery,) = read_market1501(tmp_path, (64, 32), parts=("gallery",))
    assert list(zip(gallery.pids.tolist(), gallery.camids.tolist(), strict=True)) == [
        (-1, 2),
        (1, 0),
        (1500, 5),
    ]


def test_hidden_and_foreign_files_are_passed_over_and_other_pictures_are_counted(root, streets):
    folder = root / "query"
    (folder / "Thumbs.db").write_bytes(b"\0\1")
    (folder / "._0001_c1s1_000000_00.jpg").write_bytes(b"\0\1")
    save(folder / "copy of 0001.png")
    with pytest.warns(
        UserWarning, match="left out 1 pictures with another name, e.g. copy of 0001.png"
    ):
        (query,) = read_market1501(root, (64, 32), parts=("query",))
    assert len(query) == len(streets) // 2


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_pictures_of_other_colour_modes_sizes_and_suffixes_are_brought_into_form(tmp_path, mode):
    (tmp_path / "query").mkdir()
    suffix = {"CMYK": "JPEG", "L": "JPG"}.get(mode, "PNG")
    save(tmp_path / "query" / f"0001_c1s1_000000_00.{suffix}", (102, 102, 102), (50, 100), mode)
    (query,) = read_market1501(tmp_path, (64, 32), parts=("query",))
    assert query.images.shape == (1, 3, 64, 32) and (query.images.int() - 102).abs().max() <= 2


def test_pictures_are_resized_bilinearly_and_left_alone_where_they_fit(tmp_path):
    (tmp_path / "query").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "query" / "0001_c1s1_000000_00.png")
    (same,) = read_market1501(tmp_path, (64, 32), parts=("query",))
    (half,) = read_market1501(tmp_path, (32, 16), parts=("query",))
    assert torch.equal(same.images[0], torch.from_numpy(pixels).permute(2, 0, 1))
    smaller = torch.nn.functional.interpolate(
        same.images.float(), (32, 16), mode="bilinear", antialias=True
    )
    assert (half.images - smaller).abs().max() <= 1


def test_what_is_missing_or_broken_is_named(root):
    broken = sorted((root / "query").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"cannot read the picture .*{broken.name}"):
        read_market1501(root, (64, 32), parts=("query",))
    with pytest.raises(
        FileNotFoundError,
        match="expected the folders bounding_box_train/, query/, bounding_box_test/",
    ):
        read_market1501(root / "nowhere")
    for file in (root / "query").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="query holds no picture"):
        read_market1501(root, parts=("query",))


def test_writing_never_mixes_two_sets_in_one_folder(root, streets):
    with pytest.raises(ValueError, match="bounding_box_train is not empty"):
        write_market1501(streets, root)


def test_written_pictures_are_jpegs_of_the_full_colour_resolution(root):
    file = sorted((root / "bounding_box_train").iterdir())[0]
    assert file.name == "0001_c1s1_000000_00.jpg"
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (32, 64), "RGB")
        assert {layer[1:3] for layer in picture.layer} == {(1, 1)}  # no colour subsampling


def test_any_image_set_can_be_written(tmp_path):
    labels = torch.tensor([0, 11])
    plain = ImageSet(
        torch.full((2, 3, 16, 8), 128, dtype=torch.uint8), labels, labels // 11, labels * 0, ("x",)
    )
    write_market1501(plain, tmp_path)
    assert sorted(f.name for f in (tmp_path / "bounding_box_train").iterdir()) == [
        "0001_c1s1_000000_00.jpg",
        "0012_c2s1_000001_00.jpg",
    ]


# What each miniature tree holds, worked out by hand: (file, pid, camid, part), in the order of the listing.
TREES = {
    "cuhk03": [
        ("1_001_1_01.png", 0, 0, "train"),
        ("1_001_1_02.png", 0, 0, "train"),
        ("1_001_2_06.png", 0, 1, "train"),
        ("1_002_1_03.png", 1, 0, "train"),
        ("1_002_2_10.png", 1, 1, "train"),
        ("2_001_1_01.png", 1000, 2, "train"),
        ("2_001_2_07.png", 1000, 3, "train"),
    ],
    "market1501": [
        ("0002_c1s1_000451_03.jpg", 1, 0, "train"),
        ("0002_c3s1_000551_00.jpg", 1, 2, "train"),
        ("0007_c2s3_070952_01.jpg", 6, 1, "train"),
        ("0007_c6s4_001902_01.jpg", 6, 5, "train"),
        ("0003_c1s6_015971_00.jpg", 2, 0, "query"),
        ("0005_c4s1_000301_00.jpg", 4, 3, "query"),
        ("0000_c5s1_000151_01.jpg", -1, 4, "gallery"),
        ("0003_c2s1_000476_01.jpg", 2, 1, "gallery"),
        ("0003_c6s1_000076_02.jpg", 2, 5, "gallery"),
        ("0005_c1s1_001001_01.jpg", 4, 0, "gallery"),
    ],
    "dukemtmc": [
        ("0001_c2_f0046182.jpg", 0, 1, "train"),
        ("0001_c8_f0046302.jpg", 0, 7, "train"),
        ("0005_c2_f0046985.jpg", 4, 1, "query"),
        ("0005_c1_f0051341.jpg", 4, 0, "gallery"),
        ("0009_c3_f0066182.jpg", 8, 2, "gallery"),
    ],
    "cuhksysu": [
        ("s1.jpg", 0, 0, "train"),
        ("s3.jpg", 0, 1, "train"),
        ("s1.jpg", 4, 0, "train"),
        ("s2.jpg", 4, 1, "train"),
    ],
    "msmt17": [
        ("0000_000_01_0303morning_0015_0.jpg", 0, 0, "train"),
        ("0001_000_04_0303noon_0020_1.jpg", 1, 3, "train"),
        ("0001_001_05_0303noon_0021_1.jpg", 1, 4, "train"),
        ("0000_000_01_0303morning_0100_0.jpg", 1041, 0, "query"),
        ("0001_002_15_0303noon_0100_0.jpg", 1042, 14, "query"),
        ("0000_001_07_0303noon_0300_0.jpg", 1041, 6, "gallery"),
        ("0001_003_02_0303noon_0301_0.jpg", 1042, 1, "gallery"),
    ],
    "viper": [
        ("000_45.bmp", 0, 0, "query"),
        ("001_0.bmp", 1, 0, "query"),
        ("045_90.bmp", 45, 0, "query"),
        ("000_135.bmp", 0, 1, "gallery"),
        ("001_90.bmp", 1, 1, "gallery"),
        ("045_180.bmp", 45, 1, "gallery"),
    ],
    "prid": [
        ("person_0001.png", 0, 0, "query"),
        ("person_0200.png", 199, 0, "query"),
        ("person_0201.png", 749, 0, "query"),
        ("person_0001.png", 0, 1, "gallery"),
        ("person_0200.png", 199, 1, "gallery"),
        ("person_0201.png", 200, 1, "gallery"),
        ("person_0749.png", 748, 1, "gallery"),
    ],
    "grid": [
        ("0001_1_25004_107_32_106_221.jpeg", 0, 0, "query"),
        ("0250_5_30109_4_63_115_263.jpeg", 249, 4, "query"),
        ("0000_3_1_2_3_4_5.jpeg", -1, 2, "gallery"),
        ("0000_7_1_2_3_4_6.jpeg", -1, 6, "gallery"),
        ("0001_2_25023_116_134_128_330.jpeg", 0, 1, "gallery"),
        ("0250_8_30213_60_32_84_172.jpeg", 249, 7, "gallery"),
    ],
    "ilids": [
        ("0001001.jpg", 0, 0, "gallery"),
        ("0001002.jpg", 0, 1, "gallery"),
        ("0001003.jpg", 0, 2, "gallery"),
        ("0119001.jpg", 118, 0, "gallery"),
        ("0119004.jpg", 118, 3, "gallery"),
    ],
    "cuhk02": [
        (
            f"{person + 1:03d}_{k + 10 * camera + 10}.png",
            1000 * pair + person,
            2 * pair + camera,
            "train",
        )
        for pair in range(5)
        for camera in range(2)
        for person in range(2)
        for k in range(2)
    ],
}


def rows(listing):
    return [(p.file.name, p.pid, p.camid, p.part) for p in listing.pictures]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """All ten sets side by side in a folder with a space and an umlaut; to be read only."""
    return fake.write_every_set(tmp_path_factory.mktemp("data") / "Räume 1")


@pytest.mark.parametrize("name", SETS)
def test_each_set_is_read_among_all_others_as_worked_out_by_hand(name, data_root):
    listing = SETS[name].read(data_root)
    assert listing.name == name and rows(listing) == TREES[name]
    assert all(
        picture.file.is_file() and picture.file.is_relative_to(listing.root)
        for picture in listing.pictures
    )


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_found_from_its_own_folder_whatever_that_is_called_and_through_links(
    name, tmp_path
):
    write, usual = fake.FAKES[name]
    write(tmp_path / "disk" / "x")
    assert rows(SETS[name].read(tmp_path / "disk" / "x")) == TREES[name]
    assert SETS[name].find(tmp_path) is None  # not by chance in a folder that says nothing
    (tmp_path / "links" / "sets").mkdir(parents=True)
    (tmp_path / "links" / "sets" / usual.split("/")[0].upper()).symlink_to(tmp_path / "disk" / "x")
    for root in (tmp_path / "links", tmp_path / "links" / "sets"):
        assert rows(SETS[name].read(root)) == TREES[name]


@pytest.mark.parametrize("name", SETS)
def test_no_set_is_taken_for_another(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    assert [other for other, dataset in SETS.items() if dataset.find(tmp_path)] == [name]


@pytest.mark.parametrize("name", SETS)
def test_what_isnt_there_is_said_with_the_layout_that_was_expected(name, tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError) as error:
            SETS[name].read(root)
        assert SETS[name].layout in str(error.value) and str(root) in str(error.value)


@pytest.mark.parametrize("name", SETS)
def test_dirt_changes_nothing_and_stray_pictures_are_counted(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    listed = {picture.file.parent for picture in SETS[name].read(tmp_path).pictures}
    for folder in listed:
        for file in (
            "Thumbs.db",
            ".DS_Store",
            "._0001_c1s1_000000_00.jpg",
            "desktop.ini",
            "notes.txt",
        ):
            (folder / file).write_bytes(b"\0\1")
        (folder / "0001.jpg").mkdir()
        save(folder / "picture (1).JPG")
    (tmp_path / "__MACOSX").mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        listing = SETS[name].read(tmp_path)
    assert rows(listing) == TREES[name]
    strays = [
        str(w.message)
        for w in caught
        if "left out 1 pictures with another name, e.g. picture (1).JPG" in str(w.message)
    ]
    by_list = name in ("msmt17", "cuhksysu")  # which pictures these have is said in a file
    assert len(strays) == len(caught) == (0 if by_list else len(listed))


@pytest.mark.parametrize("name", sorted(set(SETS) - {"msmt17", "cuhksysu"}))
def test_endings_in_capitals_empty_files_and_links_to_nowhere_are_listed(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    files = [picture.file for picture in SETS[name].read(tmp_path).pictures]
    for file in files:
        file.rename(file.with_suffix(file.suffix.upper()))
    files[0].with_suffix(files[0].suffix.upper()).write_bytes(b"")
    os.replace(files[1].with_suffix(files[1].suffix.upper()), tmp_path / "moved")
    files[1].with_suffix(files[1].suffix.upper()).symlink_to(tmp_path / "no such file")
    expected = [
        (file[: file.index(".")] + file[file.index(".") :].upper(), *rest)
        for file, *rest in TREES[name]
    ]
    assert rows(SETS[name].read(tmp_path)) == expected


def test_half_a_set_is_an_error_that_names_what_is_missing_or_a_warning(tmp_path):
    fake.write_viper(tmp_path / "viper")
    for file in (tmp_path / "viper" / "cam_b").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match="cam_b holds no picture"):
        SETS["viper"].find(tmp_path)
    (tmp_path / "viper" / "cam_b").rmdir()
    with pytest.raises(FileNotFoundError, match="lacks cam_b"):
        SETS["viper"].find(tmp_path)
    fake.write_market1501(tmp_path / "market")
    for file in (tmp_path / "market" / "query").iterdir():
        file.unlink()
    with pytest.warns(UserWarning, match="query is missing or holds no picture of the set"):
        assert not SETS["market1501"].read(tmp_path).part("query").pictures


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
    readme = (Path(__file__).parents[1] / "data" / "README.md").read_text(encoding="utf-8")
    for dataset in SETS.values():
        (row,) = [
            line for line in readme.splitlines() if line.startswith(f"| **{dataset.title}** |")
        ]
        for counts in dataset.expected:
            told = " · ".join(
                f"{part} {ids:,} / {pictures:,}" for part, (ids, pictures) in counts.items()
            )
            assert told in row, f"{dataset.title}: expected {told}"
        assert f"`{dataset.folders[0]}`" in row and dataset.role in row


def test_parts_of_a_listing_are_asked_for_by_name(data_root):
    market = SETS["market1501"].read(data_root)
    assert market.left_out == {"junk pictures (person -1)": 1}
    assert [len(market.part(part)) for part in ("train", "query", "gallery")] == [4, 2, 4]
    assert market.part("gallery").ids == {2, 4} and market.cameras == set(range(6))
    assert len(market.people()) == len(market) - 1
    with pytest.raises(ValueError, match="no part 'probe': choose from train, query, gallery"):
        market.part("probe")


def test_cuhk03s_hdf5_file_holds_what_its_extracted_images_show(tmp_path):
    pytest.importorskip("h5py")
    root = fake.write_cuhk03_mat(tmp_path / "cuhk03" / "cuhk03_release")
    listing = SETS["cuhk03"].read(tmp_path)
    assert [row[1:] for row in rows(listing)] == [row[1:] for row in TREES["cuhk03"]]
    columns = [
        (pair, person, column)
        for (pair, person), filled in fake.CUHK03.items()
        for column in filled
    ]
    for picture, place in zip(listing.pictures, columns, strict=True):
        assert np.array_equal(
            read_inside(root / "cuhk-03.mat", picture.inside), fake.cuhk03_pixels(*place)
        )


@pytest.mark.parametrize("write", [fake.write_cuhk03_mat, fake.write_cuhk03_extracted])
def test_cuhk03_is_divided_where_its_new_protocol_lies_beside_it(write, tmp_path):
    pytest.importorskip("h5py")
    write(tmp_path / "cuhk03" / ("cuhk03_release" if write is fake.write_cuhk03_mat else ""))
    fake.write_cuhk03_division(tmp_path / "cuhk03")
    listing = SETS["cuhk03"].read(tmp_path)
    assert [(p.pid, p.camid, p.part) for p in listing.pictures] == [
        (0, 0, "train"),
        (0, 0, "train"),
        (0, 1, "train"),
        (1, 0, "query"),
        (1, 1, "gallery"),
    ]
    assert listing.left_out == {
        "pictures that cuhk03_new_protocol_config_detected.mat doesn't name": 2
    }


def test_cuhk03s_division_may_count_in_decimals(tmp_path, monkeypatch):
    fake.write_cuhk03_extracted(tmp_path)
    monkeypatch.setattr(
        fake,
        "savemat",
        lambda file, content: savemat(
            file,
            {
                key: value if key == "filelist" else value.astype(float)
                for key, value in content.items()
            },
        ),
    )
    fake.write_cuhk03_division(tmp_path)
    assert [
        len(SETS["cuhk03"].read(tmp_path).part(part)) for part in ("train", "query", "gallery")
    ] == [3, 1, 1]


def test_cuhk03_np_is_read_from_its_detected_boxes(tmp_path):
    fake.write_cuhk03_np(tmp_path / "cuhk03-np")
    assert [row[1:] for row in rows(SETS["cuhk03"].read(tmp_path))] == [
        (0, 0, "train"),
        (0, 1, "train"),
        (3, 0, "query"),
        (3, 1, "gallery"),
    ]


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
    for picture, (x, y, width, height) in zip(
        SETS["cuhksysu"].read(data_root).pictures,
        [box for s in fake.SYSU.values() for _, box in s],
        strict=True,
    ):
        with Image.open(picture.file) as scene:
            pixels = np.asarray(scene)
        # I(y : y + height, x : x + width, :), rows and columns counted from 1, both ends within
        matlab = np.array(
            [
                [pixels[r - 1, c - 1] for c in range(x, x + width + 1)]
                for r in range(y, y + height + 1)
            ]
        )
        left, top, right, bottom = picture.box
        assert np.array_equal(pixels[top:bottom, left:right], matlab)


@pytest.mark.parametrize("write", [fake.write_cuhksysu_cropped, fake.write_cuhksysu_matlab])
def test_cuhk_sysu_is_read_from_pictures_that_were_cut_out_already(write, tmp_path):
    write(tmp_path / "CUHK-SYSU")
    listing = SETS["cuhksysu"].read(tmp_path)
    assert sorted(row[1:] for row in rows(listing)) == sorted(row[1:] for row in TREES["cuhksysu"])
    assert all(picture.box is None for picture in listing.pictures)


def test_cuhk_sysus_missing_scenes_are_counted_and_a_damaged_annotation_is_named(tmp_path):
    fake.write_cuhksysu(tmp_path)
    (tmp_path / "Image/SSM/s1.jpg").unlink()
    with pytest.warns(UserWarning, match="left out 2 persons whose scene is missing, e.g. s1.jpg"):
        assert [row[0] for row in rows(SETS["cuhksysu"].read(tmp_path))] == ["s3.jpg", "s2.jpg"]
    (tmp_path / "annotation/Person.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    with pytest.raises(ValueError, match=r"cannot read .*Person.mat.* Copy it again"):
        SETS["cuhksysu"].find(tmp_path)


def test_msmt17s_second_release_is_read_too(tmp_path):
    fake.write_msmt17(tmp_path / "MSMT17_V2", "mask_train_v2", "mask_test_v2")
    assert rows(SETS["msmt17"].read(tmp_path)) == TREES["msmt17"]


def test_what_msmt17s_lists_name_and_the_disk_lacks_is_counted(tmp_path):
    fake.write_msmt17(tmp_path)
    (tmp_path / "test/0000/0000_001_07_0303noon_0300_0.jpg").unlink()
    with pytest.warns(
        UserWarning,
        match="left out 1 pictures of list_gallery.txt that are missing in test, e.g. 0000/0000_001",
    ):
        assert len(SETS["msmt17"].read(tmp_path)) == 6
    (tmp_path / "list_query.txt").write_text("\n0000/0000_000_01_0303morning_0100_0.jpg\n")
    with pytest.raises(
        ValueError, match="list_query.txt, line 2: expected a path and a person's number"
    ):
        SETS["msmt17"].find(tmp_path)
    for name in ("list_query.txt", "list_val.txt"):
        (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match="lacks list_val.txt, list_query.txt"):
        SETS["msmt17"].find(tmp_path)


@pytest.mark.parametrize("release", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17s_lists_may_name_the_folder_as_well(release, tmp_path):
    fake.write_msmt17(tmp_path, *release)
    for file in tmp_path.glob("list_*.txt"):
        place = release[file.stem in ("list_query", "list_gallery")]
        file.write_text("".join(f"{place}/{line}\n" for line in file.read_text().splitlines()))
    assert rows(SETS["msmt17"].read(tmp_path)) == TREES["msmt17"]


def test_a_list_of_msmt17_of_which_nothing_is_there_is_an_error(tmp_path):
    fake.write_msmt17(tmp_path)
    shutil.rmtree(tmp_path / "test")
    with pytest.raises(
        ValueError,
        match=r"none of the pictures of .*list_query.txt is in .*test, e.g. 0000/0000_000",
    ):
        SETS["msmt17"].find(tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_names_of_folders_and_lists_are_found_in_whatever_case(name, tmp_path):
    fake.FAKES[name][0](tmp_path)
    names = {
        part
        for p in SETS[name].read(tmp_path).pictures
        for part in p.file.relative_to(tmp_path).parts[:-1]
    }
    others = [
        path
        for path in sorted(tmp_path.rglob("*"), reverse=True)
        if path.suffix in (".txt", ".mat")
    ]
    for path in others + [
        path for path in sorted(tmp_path.rglob("*"), reverse=True) if path.name in names
    ]:
        path.rename(path.with_name(path.name.swapcase()))
    assert [row[1:] for row in rows(SETS[name].read(tmp_path))] == [row[1:] for row in TREES[name]]


def test_of_several_copies_the_one_with_the_most_pictures_is_read_and_the_others_are_named(
    tmp_path,
):
    for place in ("market old", "market1501", "Market-new"):
        fake.write_market1501(tmp_path / place)
    next((tmp_path / "Market-new/query").iterdir()).unlink()
    shutil.rmtree(tmp_path / "market old/bounding_box_train")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        listing = SETS["market1501"].read(tmp_path)
    assert listing.root == tmp_path / "market1501"
    (warning,) = caught  # what is wrong with the others doesn't matter
    assert str(warning.message).startswith(
        f"also found in {tmp_path / 'Market-new'}, {tmp_path / 'market old'}, not used"
    )


def test_a_broken_copy_doesnt_hide_a_whole_one(tmp_path):
    fake.write_viper(tmp_path / "VIPeR")
    fake.write_viper(tmp_path / "viper broken")
    shutil.rmtree(tmp_path / "VIPeR/cam_b")
    with pytest.warns(UserWarning, match="also found in .*VIPeR, not used"):
        assert rows(SETS["viper"].read(tmp_path)) == TREES["viper"]


def test_of_two_copies_with_as_many_pictures_the_divided_one_is_read(tmp_path):
    fake.write_cuhk03_np(tmp_path / "cuhk03-np")
    fake.write_all(tmp_path / "cuhk03/images_detected", [f"1_001_1_0{k}.png" for k in range(1, 5)])
    with pytest.warns(UserWarning, match="also found in"):
        assert len(SETS["cuhk03"].read(tmp_path).part("query")) == 1


def test_another_sets_folder_that_begins_alike_is_not_read(tmp_path):
    fake.write_ilids(tmp_path / "iLIDS-VID")
    fake.write_prid(tmp_path / "prid_450s")
    assert SETS["ilids"].find(tmp_path) is None and SETS["prid"].find(tmp_path) is None


def test_ones_own_pictures_in_markets_layout_are_one_domain_called_like_their_folder(tmp_path):
    save_all = fake.write_all
    save_all(
        tmp_path / "my shop" / "bounding_box_train",
        ["0001_c1_1.png", "0002_c3_f001.jpg", "0002_c1s1_000001_00.jpg"],
    )
    with pytest.warns(UserWarning, match="is missing or holds no picture"):
        (listing,) = list_own(tmp_path / "my shop")
    assert listing.name == "my shop"
    assert rows(listing) == [
        ("0001_c1_1.png", 0, 0, "train"),
        ("0002_c1s1_000001_00.jpg", 1, 0, "train"),
        ("0002_c3_f001.jpg", 1, 2, "train"),
    ]
    save_all(tmp_path / "my shop" / "bounding_box_train", ["0000_c1_1.png"])
    with pytest.raises(
        ValueError, match="person 0000 means a distractor here; number people from 0001"
    ):
        list_own(tmp_path / "my shop")
    with pytest.raises(
        FileNotFoundError, match=r"expected the folders bounding_box_train/, .*or a .csv file"
    ):
        list_own(tmp_path)


def table(folder, text):
    (folder / "people.csv").write_text(text, encoding="utf-8-sig")
    return folder / "people.csv"


def test_ones_own_pictures_in_a_table_are_one_listing_per_domain(tmp_path):
    fake.write_all(tmp_path / "bilder", ["ä 1.jpg", "b.png", "c.png", "d.png"])
    listings = list_own(
        table(
            tmp_path,
            "path,pid,camid,domain,part\nbilder/ä 1.jpg,Zoe,door,shop,\nbilder/b.png,Ann,yard,shop,query\n"
            "bilder/c.png,7,2,street,train\nbilder/d.png,-1,0,street,gallery\n",
        )
    )
    assert [(listing.name, rows(listing)) for listing in listings] == [
        ("shop", [("ä 1.jpg", 1, 0, "train"), ("b.png", 0, 1, "query")]),
        ("street", [("c.png", 7, 2, "train"), ("d.png", -1, 0, "gallery")]),
    ]
    assert all(picture.file.is_file() for listing in listings for picture in listing.pictures)


@pytest.mark.parametrize(
    "text, message",
    [
        ("path,pid,domain\na.jpg,1,x\n", "no column 'camid'"),
        ("", "no column 'path'"),
        ("path;pid;camid;domain;part\na.jpg;1;2;x;nowhere\n", "row 2: no part 'nowhere'"),
        ("path,pid,camid,domain\na.jpg,,1,x\n", "row 2: pid is empty"),
        ("path,pid,camid,domain\na.jpg,1\n", "row 2: camid is empty"),
        (
            "path,pid,camid,domain\na.jpg,1,1,x\nno.jpg,1,1,x\n",
            "1 pictures are not there, e.g. .*no.jpg",
        ),
        (
            "path,pid,camid,domain,part\na.jpg,1,1,x,test\n",
            "row 2: no part 'test': choose from train",
        ),
        ("path,pid,camid,domain\na.jpg,-1,1,x\n", "a.jpg is a distractor .* outside the gallery"),
        ("path,pid,camid,domain\na.jpg,-7,1,x\n", "row 2: pid -7 is below -1"),
        ("path,pid,camid,domain\n", "holds no row"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_place(text, message, tmp_path):
    fake.write_all(tmp_path, ["a.jpg"])
    with pytest.raises(ValueError, match=message):
        list_own(table(tmp_path, text))
