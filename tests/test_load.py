"""Decoding and the cache: right pixels from every kind of picture, and never a half-built or stale cache."""

import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_datasets import cuhk03_pixels, write_cuhk03_mat
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metabin.datasets import load
from metabin.datasets.cuhk03 import list_cuhk03
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.load import cache_file, decode, load_images

SIZE = (16, 8)  # (H, W)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks of 8 x 8 pixels in random colours, which JPEG keeps well, (H, W, 3)."""
    blocks = np.random.default_rng(seed).integers(
        0, 256, (height // 8, width // 8, 3), dtype=np.uint8
    )
    return blocks.repeat(8, axis=0).repeat(8, axis=1)


def write(path: Path, pixels: np.ndarray, mode: str = "RGB", **how) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path, **how)
    return Picture(path, 0, 0, "train")


def make_listing(folder: Path, num: int = 10, name: str = "people") -> Listing:
    """Pictures of SIZE with random pixels, two of each person."""
    for k in range(num):
        pixels = np.random.default_rng(k).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        write(folder / f"{k:03d}.png", pixels)
    return listing_of(folder, name)


def listing_of(folder: Path, name: str = "people") -> Listing:
    files = sorted(folder.glob("*.png"))
    return Listing(
        name, folder, tuple(Picture(file, k // 2, k % 2, "train") for k, file in enumerate(files))
    )


def expected_pixels(listing: Listing) -> torch.Tensor:
    pixels = [np.asarray(Image.open(picture.file)) for picture in listing.pictures]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


@pytest.fixture
def count(monkeypatch):
    """The files that were decoded, in order of their decoding."""
    decoded = []
    monkeypatch.setattr(
        load, "decode", lambda picture, size: decoded.append(picture.file) or decode(picture, size)
    )
    return decoded


# decoding


def test_a_picture_is_what_pil_reads_resized_bilinearly(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 14, 3), dtype=np.uint8)
    picture = write(tmp_path / "a.png", pixels)
    resized = Image.fromarray(pixels).resize((8, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(decode(picture, SIZE), np.asarray(resized).transpose(2, 0, 1))


def test_a_large_jpeg_decoded_at_a_fraction_looks_like_the_whole(tmp_path):
    picture = write(tmp_path / "a.jpg", scene(512, 256), quality=95)
    whole = Image.open(picture.file).resize((8, 16), Image.Resampling.BILINEAR)
    difference = decode(picture, SIZE).astype(float) - np.asarray(whole).transpose(2, 0, 1)
    assert abs(difference).max() <= 4


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "LA", "YCbCr"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    pixels = scene(16, 8)
    suffix = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    picture = write(tmp_path / f"a.{suffix}", pixels, mode)
    found = decode(picture, SIZE)
    assert found.shape == (3, 16, 8) and found.dtype == np.uint8
    expected = np.asarray(Image.fromarray(pixels).convert(mode).convert("RGB")).transpose(2, 0, 1)
    assert abs(found.astype(float) - expected).mean() < (12 if suffix == "jpg" else 1)


UPRIGHT = {  # what a viewer does for each EXIF orientation
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_rotated_photograph_is_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = scene(64, 32) if orientation < 5 else scene(32, 64)
    picture = write(tmp_path / "a.jpg", stored, quality=95, subsampling=0, exif=exif)
    upright = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](stored)))
    expected = (
        np.asarray(upright.resize((8, 16), Image.Resampling.BILINEAR))
        .transpose(2, 0, 1)
        .astype(float)
    )
    assert upright.size == (32, 64)
    assert (
        abs(decode(picture, SIZE) - expected).max() < 20
    )  # JPEG's noise; any other turn is off by more than 100


def test_a_person_is_cut_out_of_the_scene_and_the_box_ends_at_its_border(tmp_path):
    pixels = scene(40, 48)
    picture = write(tmp_path / "a.png", pixels)
    assert np.array_equal(
        decode(picture._replace(box=(3, 5, 11, 21)), SIZE), pixels[5:21, 3:11].transpose(2, 0, 1)
    )
    beyond = decode(picture._replace(box=(40, 24, 60, 70)), SIZE)
    assert np.array_equal(beyond, pixels[24:40, 40:48].transpose(2, 0, 1))


def test_a_box_outside_the_scene_is_an_error(tmp_path):
    picture = write(tmp_path / "a.png", scene(16, 8))._replace(box=(9, 0, 12, 5))
    with pytest.raises(ValueError, match=r"a\.png"):
        decode(picture, SIZE)


def test_pictures_inside_an_hdf5_file_are_read(tmp_path):
    pytest.importorskip("h5py")
    listing = list_cuhk03(write_cuhk03_mat(tmp_path))
    images = load_images(listing, SIZE, tmp_path / "cache")
    assert len(images) == 7
    assert np.array_equal(images.images[0].permute(1, 2, 0).numpy(), cuhk03_pixels(1, 1, 1))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_an_unreadable_file_is_named_with_what_to_do(tmp_path, content):
    file = tmp_path / "broken 1.jpg"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken 1\.jpg.*Copy it again.*metabin\.datasets check"):
        decode(Picture(file, 0, 0, "train"), SIZE)


@pytest.mark.parametrize("cache", [True, False])
def test_a_missing_file_is_named(tmp_path, cache):
    listing = make_listing(tmp_path / "a", 2)
    (tmp_path / "a/001.png").unlink()
    with pytest.raises(ValueError, match=r"cannot read the picture .*001\.png"):
        load_images(listing, SIZE, tmp_path / "cache" if cache else None)


@given(
    where=st.integers(0, 10_000),
    byte=st.integers(0, 255),
    cut=st.integers(0, 10_000),
    kind=st.sampled_from(["PNG", "JPEG", "BMP"]),
)
def test_a_damaged_file_is_decoded_or_named_never_a_traceback_of_another_kind(
    tmp_path_factory, where, byte, cut, kind
):
    buffer = io.BytesIO()
    Image.fromarray(scene(16, 8)).save(buffer, kind)
    damaged = bytearray(buffer.getvalue())
    damaged[where % len(damaged)] = byte
    file = tmp_path_factory.getbasetemp() / f"damaged.{kind.lower()}"
    file.write_bytes(damaged[: max(1, cut % (2 * len(damaged)))])
    try:
        assert decode(Picture(file, 0, 0, "train"), SIZE).shape == (3, 16, 8)
    except ValueError as error:
        assert str(file) in str(error)


# sets


def test_one_listing_keeps_its_numbers_and_its_order(tmp_path):
    listing = make_listing(tmp_path / "a", 5)
    images = load_images(listing, SIZE)
    assert torch.equal(images.images, expected_pixels(listing))
    assert images.pids.tolist() == [0, 0, 1, 1, 2] and images.camids.tolist() == [0, 1, 0, 1, 0]
    assert images.domains.tolist() == [0] * 5 and images.names == ("people",)


def test_people_of_several_listings_stay_apart_and_distractors_stay_distractors(tmp_path):
    a, b = make_listing(tmp_path / "a", 5, "a"), make_listing(tmp_path / "b", 3, "b")
    b = Listing("b", b.root, (*b.pictures[:2], b.pictures[2]._replace(pid=-1)))
    images = load_images([a, b], SIZE)
    assert images.pids.tolist() == [0, 0, 1, 1, 2, 3, 3, -1]
    assert images.domains.tolist() == [0] * 5 + [1] * 3 and images.names == ("a", "b")
    assert torch.equal(images.images, torch.cat([expected_pixels(a), expected_pixels(b)]))


def test_an_empty_listing_is_named(tmp_path):
    with pytest.raises(ValueError, match="no pictures in nobody"):
        load_images(Listing("nobody", tmp_path, ()), SIZE)
    with pytest.raises(ValueError, match="at least one listing"):
        load_images([], SIZE)


# the cache


def test_a_second_time_nothing_is_decoded_and_everything_is_equal(tmp_path, count):
    listing = make_listing(tmp_path / "a")
    first, again = (load_images(listing, SIZE, tmp_path / "cache") for _ in range(2))
    assert len(count) == 10
    for images in (first, again):
        assert torch.equal(images.images, expected_pixels(listing))
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".uint8"]


def test_what_is_written_to_the_images_does_not_reach_the_cache(tmp_path):
    listing = make_listing(tmp_path / "a")
    load_images(listing, SIZE, tmp_path / "cache").images.zero_()
    assert torch.equal(
        load_images(listing, SIZE, tmp_path / "cache").images, expected_pixels(listing)
    )


def test_a_cache_larger_than_the_memory_is_mapped(tmp_path):
    memory = Path("/proc/meminfo")
    if not memory.exists():
        pytest.skip("only Linux tells its memory here")
    words = [line.split() for line in memory.read_text().splitlines()]
    size = 1024 * sum(int(word[1]) for word in words if word[0] in ("MemTotal:", "SwapTotal:"))
    pictures = range(size * 5 // 4 // (3 * 256 * 128))
    with (tmp_path / "large").open("wb") as file:
        try:
            file.truncate(len(pictures) * 3 * 256 * 128)  # takes no room: nothing is written
        except OSError as error:
            pytest.skip(f"no such large file here: {error}")
    pixels = load._mapped(tmp_path / "large", pictures, (256, 128))
    assert len(pixels) == len(pictures) and pixels.nbytes > size and not pixels[-1].any()


def test_who_comes_too_late_to_build_leaves_no_partial_file(tmp_path, count):
    listing = make_listing(tmp_path / "a")
    load_images(listing, SIZE, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    count.clear()
    load._build(
        path, listing.pictures, SIZE
    )  # as one that had looked for the file before it was there
    assert list((tmp_path / "cache").iterdir()) == [path] and not count


CHANGES = {
    "another picture under the same name": lambda folder: write(folder / "003.png", scene(16, 8)),
    "a picture more": lambda folder: write(folder / "999.png", scene(16, 8)),
    "a picture less": lambda folder: (folder / "003.png").unlink(),
    "another name": lambda folder: (folder / "003.png").rename(folder / "0030.png"),
    "a newer copy": lambda folder: os.utime(folder / "003.png", ns=(1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_noticed(tmp_path, count, change):
    load_images(make_listing(tmp_path / "a"), SIZE, tmp_path / "cache")
    count.clear()
    CHANGES[change](tmp_path / "a")
    listing = listing_of(tmp_path / "a")
    images = load_images(listing, SIZE, tmp_path / "cache")
    assert len(count) == len(listing) and torch.equal(images.images, expected_pixels(listing))


def test_another_size_or_box_is_another_cache_and_a_moved_folder_is_the_same(tmp_path):
    listing = make_listing(tmp_path / "a")
    name = cache_file([listing], SIZE, tmp_path)
    assert cache_file([listing], (32, 16), tmp_path) != name
    boxed = Listing(
        "people", listing.root, tuple(p._replace(box=(0, 0, 4, 4)) for p in listing.pictures)
    )
    assert cache_file([boxed], SIZE, tmp_path) != name
    (tmp_path / "a").rename(tmp_path / "b")
    assert cache_file([listing_of(tmp_path / "b")], SIZE, tmp_path) == name


def test_a_name_with_slashes_and_a_hundred_domains_still_make_a_file_name(tmp_path):
    listing = make_listing(tmp_path / "a", 2, "camera/3: café")
    file = cache_file([listing] * 100, SIZE, tmp_path)
    assert file.parent == tmp_path and len(file.name.encode()) < 200
    assert load_images(listing, SIZE, tmp_path / "cache").names == ("camera/3: café",)


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_an_interrupted_build_goes_on_where_it_stopped(tmp_path, monkeypatch, count, stop):
    monkeypatch.setattr(load, "CHUNK", 2)
    listing, counting = make_listing(tmp_path / "a"), load.decode

    def interrupted(picture, size):
        if picture == listing.pictures[stop]:
            raise KeyboardInterrupt
        return counting(picture, size)

    monkeypatch.setattr(load, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_images(listing, SIZE, tmp_path / "cache")
    monkeypatch.setattr(load, "decode", counting)
    count.clear()
    images = load_images(listing, SIZE, tmp_path / "cache")
    kept = max(0, stop // 2 - 1)  # whole chunks before it; the last of them is made again
    assert sorted(count) == [picture.file for picture in listing.pictures[2 * kept :]]
    assert torch.equal(images.images, expected_pixels(listing))


def test_a_torn_last_chunk_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "CHUNK", 2)
    listing = make_listing(tmp_path / "a")
    path = cache_file([listing], SIZE, tmp_path)
    whole = expected_pixels(listing).contiguous().numpy().tobytes()
    one = len(whole) // 10
    path.with_name(path.name + ".part").write_bytes(
        whole[: 4 * one] + bytes(3 * one // 2 + one)
    )  # zeros: never reached the disk
    assert torch.equal(load_images(listing, SIZE, tmp_path).images, expected_pixels(listing))


KILLED = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from metabin.datasets import load
from metabin.datasets.listing import Listing, Picture
files = sorted(Path(sys.argv[1]).glob("*.png"))
listing = Listing("people", files[0].parent, tuple(Picture(file, k // 2, k % 2, "train") for k, file in enumerate(files)))
load.CHUNK, decode, calls = 2, load.decode, []
def killed(picture, size):
    calls.append(picture)
    return os.kill(os.getpid(), 9) if len(calls) > 8 else decode(picture, size)
load.decode = killed
load.load_images(listing, (16, 8), Path(sys.argv[2]))
"""


def test_a_killed_build_leaves_no_cache_that_looks_whole(tmp_path, monkeypatch):
    listing, root = make_listing(tmp_path / "a"), Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "a", tmp_path / "cache"], cwd=root
    )
    assert done.returncode == -9
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".part"]
    monkeypatch.setattr(load, "CHUNK", 2)
    assert torch.equal(
        load_images(listing, SIZE, tmp_path / "cache").images, expected_pixels(listing)
    )


def test_of_two_that_build_the_same_cache_one_waits(tmp_path, count):
    listing, found = make_listing(tmp_path / "a"), []
    work = [
        threading.Thread(target=lambda: found.append(load_images(listing, SIZE, tmp_path / "c")))
        for _ in range(2)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(count) == 10
    assert (
        all(torch.equal(images.images, expected_pixels(listing)) for images in found)
        and len(found) == 2
    )


def test_an_unreadable_picture_leaves_nothing_behind(tmp_path):
    listing = make_listing(tmp_path / "a")
    (tmp_path / "a/007.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"007\.png"):
        load_images(listing, SIZE, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_said_before_anything_is_decoded(tmp_path, monkeypatch, count):
    listing = make_listing(tmp_path / "a")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(OSError, match="needs 0.0 GB more"):
        load_images(listing, SIZE, tmp_path / "cache")
    assert not count


def test_a_cache_that_somebody_cut_short_is_refused(tmp_path):
    listing = make_listing(tmp_path / "a")
    load_images(listing, SIZE, tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="delete it and it is made again"):
        load_images(listing, SIZE, tmp_path / "cache")


def test_no_bar_of_progress_where_nobody_watches(tmp_path, capfd):
    load_images(make_listing(tmp_path / "a"), SIZE, tmp_path / "cache")
    assert capfd.readouterr() == ("", "")
