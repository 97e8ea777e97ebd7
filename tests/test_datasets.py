"""Readers of real data, on small trees that the tests write themselves."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from metabin.datasets import read_market1501, write_market1501
from metabin.images import ImageSet
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
    for written, read in zip((streets, query, gallery), read_market1501(root, (64, 32)), strict=True):
        assert torch.equal(read.pids, written.pids) and torch.equal(read.camids, written.camids)
        difference = (read.images.float() - written.images.float()).abs()
        assert difference.mean() < 2.5 and difference.max() < 60  # what JPEG takes away
    assert read.names == ("market1501",) and read.num_domains == 1


def test_only_the_parts_that_are_asked_for_are_read(root, streets):
    for file in (root / "bounding_box_test").iterdir():
        file.unlink()
    query, train = read_market1501(root, (64, 32), parts=("query", "train"), name="streets")
    assert (len(query), len(train)) == (len(streets) // 2, len(streets)) and train.names == ("streets",)
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
    assert list(zip(gallery.pids.tolist(), gallery.camids.tolist(), strict=True)) == [(-1, 2), (1, 0), (1500, 5)]


def test_hidden_and_foreign_files_are_passed_over_and_other_pictures_are_counted(root, streets):
    folder = root / "query"
    (folder / "Thumbs.db").write_bytes(b"\0\1")
    (folder / "._0001_c1s1_000000_00.jpg").write_bytes(b"\0\1")
    save(folder / "copy of 0001.png")
    with pytest.warns(UserWarning, match="left out 1 pictures with another name, e.g. copy of 0001.png"):
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
    smaller = torch.nn.functional.interpolate(same.images.float(), (32, 16), mode="bilinear", antialias=True)
    assert (half.images - smaller).abs().max() <= 1


def test_what_is_missing_or_broken_is_named(root):
    broken = sorted((root / "query").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"cannot read the picture .*{broken.name}"):
        read_market1501(root, (64, 32), parts=("query",))
    with pytest.raises(FileNotFoundError, match="expected the folders bounding_box_train/, query/, bounding_box_test/"):
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
    plain = ImageSet(torch.full((2, 3, 16, 8), 128, dtype=torch.uint8), labels, labels // 11, labels * 0, ("x",))
    write_market1501(plain, tmp_path)
    assert sorted(f.name for f in (tmp_path / "bounding_box_train").iterdir()) == [
        "0001_c1s1_000000_00.jpg",
        "0012_c2s1_000001_00.jpg",
    ]
