"""Where the pixels lie, and that a batch does not depend on it."""

from dataclasses import replace

import pytest
import torch
from conftest import make_people

from metabin.data import images as module
from metabin.data.batches import Batches
from metabin.data.images import ImageSet, place
from metabin.samplers import join
from metabin.train import Run, train

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="a second kind of memory")


@pytest.fixture
def augmented(quick):
    return replace(quick, colour_jitter=0.2, erasing=0.5)


@pytest.fixture
def no_room(monkeypatch):
    monkeypatch.setattr(module, "_free_bytes", lambda device: 0)


@pytest.fixture
def mapped(people, tmp_path) -> ImageSet:
    """The same set with its pixels in a file that is mapped into memory."""
    path, pixels = tmp_path / "pixels", people.images
    path.write_bytes(pixels.numpy().tobytes())
    file = torch.from_file(str(path), shared=False, size=pixels.numel(), dtype=torch.uint8)
    return replace(people, images=file.view(pixels.shape))


def assert_same_draws(one: Batches, other: Batches):
    for _ in range(3):
        torch.testing.assert_close(join(one.draw()), join(other.draw()), rtol=0, atol=0)


def test_on_a_cpu_a_mapped_pixel_is_not_copied_and_gives_the_same_batches(
    people, mapped, augmented
):
    run = Run(augmented, mapped, "cpu")
    assert run.images.images.data_ptr() == mapped.images.data_ptr()
    assert run.placement == "0.2 MB of images on cpu"
    assert_same_draws(Batches(augmented, people, seed=3), Batches(augmented, mapped, seed=3))


@pytest.mark.parametrize(("free", "fits"), [(10**9, True), (328_000, True), (327_000, False)])
def test_pixels_stay_with_the_host_when_they_would_leave_a_device_too_little_room(
    people, monkeypatch, free, fits
):
    assert people.images.nbytes == 196_608  # 60 % of 327,680
    monkeypatch.setattr(module, "_free_bytes", lambda device: free)
    placed, where = place(people, "meta")
    devices = {name: tensor.device.type for name, tensor in placed.tensors().items()}
    assert devices.pop("images") == ("meta" if fits else "cpu")
    assert set(devices.values()) == {"meta"}
    assert ("copied batch by batch: meta has" in where) == (not fits)


def test_the_pixels_that_stay_with_the_host_are_picked_there_and_sent(people, quick, no_room):
    batches = Batches(quick, people, seed=0)
    batches.images, batches.device = place(people, "meta")[0], torch.device("meta")
    picked = batches._pick(torch.tensor([5, 0, 5]))
    assert picked.device.type == "meta"
    assert picked.shape == (3, 3, 32, 16) and picked.dtype == torch.uint8


@GPU
def test_on_a_gpu_it_makes_no_difference_where_the_pixels_lie(people, quick, monkeypatch):
    near = place(people, "cuda")[0]
    monkeypatch.setattr(module, "_free_bytes", lambda device: 0)
    far = place(people, "cuda")[0]
    assert not far.images.is_cuda and far.pids.is_cuda
    assert_same_draws(Batches(quick, near, seed=3), Batches(quick, far, seed=3))


@GPU
def test_a_set_that_stays_with_the_host_never_lets_it_wait_for_the_device(people, quick, no_room):
    loop = train(Run(quick, people))
    next(loop)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(loop)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_batches_go_on_from_a_saved_state_to_the_bit(people, augmented):
    batches, later = Batches(augmented, people, seed=1), Batches(augmented, make_people(), seed=2)
    batches.draw()
    later.set_state([stream.clone() for stream in batches.get_state()])
    assert_same_draws(later, batches)
