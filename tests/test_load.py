"""Decoding and the cache: right pixels of every picture, never a half-built or stale cache."""

import io
import multiprocessing
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
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
from metabin.datasets.decode import decode
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.load import cache_file, load_images

SIZE = (16, 8)  # (H, W)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks of 8 x 8 pixels in random colours, which JPEG keeps well, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
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
    pictures = [Picture(file, k // 2, k % 2, "train") for k, file in enumerate(files)]
    return Listing(name, folder, tuple(pictures))


def expected_pixels(listing: Listing) -> torch.Tensor:
    pixels = [np.asarray(Image.open(picture.file)) for picture in listing.pictures]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


def resized(pixels: np.ndarray) -> np.ndarray:
    """What PIL makes of an image at SIZE, (3, H, W) float."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image = image.resize((8, 16), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1).astype(float)


@pytest.fixture
def count(monkeypatch):
    """The files that were decoded, in order of their decoding."""
    decoded = []

    def counting(picture, size):
        decoded.append(picture.file)
        return decode(picture, size)

    monkeypatch.setattr(load, "decode", counting)
    return decoded


# decoding


def test_a_picture_is_what_pil_reads_resized_bilinearly(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 14, 3), dtype=np.uint8)
    assert np.array_equal(decode(write(tmp_path / "a.png", pixels), SIZE), resized(pixels))
    large = write(tmp_path / "a.jpg", scene(512, 256), quality=95)  # decoded at a fraction
    whole = np.asarray(Image.open(large.file))
    assert abs(decode(large, SIZE) - resized(whole)).max() <= 4


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1", "LA", "YCbCr"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    pixels = scene(16, 8)
    suffix = {"CMYK": "jpg", "YCbCr": "jpg"}.get(mode, "png")
    decoded = decode(write(tmp_path / f"a.{suffix}", pixels, mode), SIZE)
    assert decoded.shape == (3, 16, 8) and decoded.dtype == np.uint8
    expected = np.asarray(Image.fromarray(pixels).convert(mode).convert("RGB")).transpose(2, 0, 1)
    assert abs(decoded.astype(float) - expected).mean() < (12 if suffix == "jpg" else 1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_deep_grey_is_scaled_not_clipped(tmp_path, suffix):
    deep = (257 * np.arange(128, dtype=np.uint16) * 2).reshape(16, 8)  # 0 … 254 at 8 bits
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    decoded = decode(Picture(tmp_path / f"a.{suffix}", 0, 0, "train"), SIZE)
    assert np.array_equal(decoded, np.stack([deep / 257] * 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_are_laid_over_white(tmp_path, mode):
    image = Image.new("RGBA", (8, 16), (0, 0, 0, 0))
    image.paste((51, 51, 51, 255), (0, 0, 8, 8))
    image.convert(mode).save(tmp_path / "a.png")
    decoded = decode(Picture(tmp_path / "a.png", 0, 0, "train"), SIZE)
    assert (decoded[:, :8] == 51).all() and (decoded[:, 8:] == 255).all()


def test_pixels_of_unknown_range_are_refused_by_name(tmp_path):
    Image.fromarray(np.ones((16, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: its pixels are 32-bit numbers"):
        decode(Picture(tmp_path / "a.tif", 0, 0, "train"), SIZE)


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
    upright = UPRIGHT[orientation](stored)
    assert upright.shape == (64, 32, 3)
    # JPEG's noise; any other turn is off by more than 100
    assert abs(decode(picture, SIZE) - resized(upright)).max() < 20


def test_a_person_is_cut_out_of_the_scene_and_the_box_ends_at_its_border(tmp_path):
    pixels = scene(40, 48)
    picture = write(tmp_path / "a.png", pixels)
    person = decode(picture._replace(box=(3, 5, 11, 21)), SIZE)
    assert np.array_equal(person, pixels[5:21, 3:11].transpose(2, 0, 1))
    beyond = decode(picture._replace(box=(40, 24, 60, 70)), SIZE)
    assert np.array_equal(beyond, pixels[24:40, 40:48].transpose(2, 0, 1))
    with pytest.raises(ValueError, match=r"a\.png"):
        decode(picture._replace(box=(49, 0, 52, 5)), SIZE)


def test_pictures_inside_an_hdf5_file_are_read(tmp_path):
    pytest.importorskip("h5py")
    images = load_images(list_cuhk03(write_cuhk03_mat(tmp_path)), SIZE, tmp_path / "cache")
    assert len(images) == 7
    assert np.array_equal(images.images[0].permute(1, 2, 0).numpy(), cuhk03_pixels(1, 1, 1))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_an_unreadable_file_is_named_with_what_to_do(tmp_path, content):
    file = tmp_path / "broken 1.jpg"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken 1\.jpg.*Copy it again.*metabin data check"):
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


def test_a_second_time_nothing_is_decoded_and_everything_is_equal(tmp_path, count, capfd):
    listing = make_listing(tmp_path / "a")
    for _ in range(2):
        images = load_images(listing, SIZE, tmp_path / "cache").images
        assert torch.equal(images, expected_pixels(listing))
        images.zero_()  # what is written to the images does not reach the cache
    assert len(count) == 10
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".uint8"]
    assert capfd.readouterr() == ("", "")  # no bar of progress where nobody watches


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
    pixels = load.map_cache(tmp_path / "large", pictures, (256, 128))
    assert len(pixels) == len(pictures) and pixels.nbytes > size and not pixels[-1].any()


def test_who_comes_too_late_to_build_leaves_no_partial_file(tmp_path, count):
    listing = make_listing(tmp_path / "a")
    load_images(listing, SIZE, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    count.clear()
    load.build_cache(path, listing.pictures, SIZE)  # as if it looked before the file was there
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
    boxes = tuple(picture._replace(box=(0, 0, 4, 4)) for picture in listing.pictures)
    assert cache_file([Listing("people", listing.root, boxes)], SIZE, tmp_path) != name
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
    torn = whole[: 4 * one] + bytes(5 * one // 2)  # zeros: never reached the disk
    path.with_name(path.name + ".part").write_bytes(torn)
    assert torch.equal(load_images(listing, SIZE, tmp_path).images, expected_pixels(listing))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process of the same memory")
def test_a_killed_build_leaves_no_cache_that_looks_whole(tmp_path, monkeypatch):
    listing, calls = make_listing(tmp_path / "a"), []

    def killed(picture, size):
        calls.append(picture)
        return os.kill(os.getpid(), 9) if len(calls) > 8 else decode(picture, size)

    monkeypatch.setattr(load, "CHUNK", 2)
    with monkeypatch.context() as patch:
        patch.setattr(load, "decode", killed)
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=load_images, args=(listing, SIZE, tmp_path / "cache"))
        child.start()
        child.join()
    assert child.exitcode == -9
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".part"]
    images = load_images(listing, SIZE, tmp_path / "cache").images
    assert torch.equal(images, expected_pixels(listing))


def test_of_two_that_build_the_same_cache_one_waits(tmp_path, count):
    listing = make_listing(tmp_path / "a")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(load_images, [listing] * 2, [SIZE] * 2, [tmp_path / "c"] * 2))
    assert len(count) == 10
    for images in results:
        assert torch.equal(images.images, expected_pixels(listing))


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
