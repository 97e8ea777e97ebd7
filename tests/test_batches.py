"""Where the pixels lie, and that a batch does not depend on it."""

from dataclasses import replace

import pytest
import torch
from conftest import make_people

from metabin.data import images as module
from metabin.data.batches import Batches, join
from metabin.data.images import ImageSet, place
from metabin.train import Run, train

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="a second kind of memory")


def mapped(people: ImageSet, path) -> ImageSet:
    """The same set with its pixels in a file that is mapped into memory."""
    pixels = people.images
    path.write_bytes(pixels.numpy().tobytes())
    file = torch.from_file(str(path), shared=False, size=pixels.numel(), dtype=torch.uint8)
    return replace(people, images=file.view(pixels.shape))


def drawn(people: ImageSet, config, count: int = 3) -> list[torch.Tensor]:
    batches = Batches(config, people, seed=3)
    return [tensor for _ in range(count) for tensor in join(batches.draw())]


def test_on_a_cpu_no_pixel_is_copied_wherever_it_lies(people, tmp_path, quick):
    people = mapped(people, tmp_path / "pixels")
    placed, where = place(people, "cpu")
    assert placed.images.data_ptr() == people.images.data_ptr()
    run = Run(quick, people, "cpu")
    assert run.images.images.data_ptr() == people.images.data_ptr()
    assert run.placement == where == "0.0 GB of images on cpu"


@pytest.mark.parametrize(
    ("free", "fits"), [(10**9, True), (164_000, True), (163_000, False), (0, False)]
)
def test_pixels_stay_with_the_host_when_they_would_leave_a_device_too_little_room(
    people, monkeypatch, free, fits
):
    assert people.images.nbytes == 98_304 * 2  # so that 60 % of the free memory decides at 327,680
    monkeypatch.setattr(module, "_free_bytes", lambda device: 2 * free)
    placed, where = place(people, "meta")
    assert placed.images.device.type == ("meta" if fits else "cpu")
    assert {t.device.type for name, t in placed.tensors().items() if name != "images"} == {"meta"}
    assert ("copied batch by batch: meta has" in where) == (not fits)


def test_the_pixels_that_stay_with_the_host_are_picked_there_and_sent(people, quick, monkeypatch):
    monkeypatch.setattr(module, "_free_bytes", lambda device: 0)
    batches = Batches(quick, people, seed=0)
    batches.images, batches.device = place(people, "meta")[0], torch.device("meta")
    picked = batches._pick(torch.tensor([5, 0, 5]))
    assert (
        picked.device.type == "meta"
        and picked.shape == (3, 3, 32, 16)
        and picked.dtype == torch.uint8
    )


def test_a_mapped_set_gives_the_same_batches_to_the_bit(people, tmp_path, quick):
    config = replace(quick, colour_jitter=0.2, erasing=0.5)
    assert all(
        map(torch.equal, drawn(people, config), drawn(mapped(people, tmp_path / "pixels"), config))
    )


@GPU
def test_on_a_gpu_it_makes_no_difference_where_the_pixels_lie(people, quick, monkeypatch):
    near = drawn(place(people, "cuda")[0], quick)
    monkeypatch.setattr(module, "_free_bytes", lambda device: 0)
    far = place(people, "cuda")[0]
    assert not far.images.is_cuda and far.pids.is_cuda
    assert all(map(torch.equal, near, drawn(far, quick)))


@GPU
def test_a_set_that_stays_with_the_host_never_lets_it_wait_for_the_device(
    people, quick, monkeypatch
):
    monkeypatch.setattr(module, "_free_bytes", lambda device: 0)
    loop = train(Run(quick, people))
    next(loop)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(loop)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_batches_go_on_from_a_saved_state_to_the_bit(people, quick):
    config = replace(quick, colour_jitter=0.2, erasing=0.5)
    batches = Batches(config, people, seed=1)
    batches.draw()
    state = [part.clone() for part in batches.get_state()]
    expected = [join(batches.draw()) for _ in range(2)]
    later = Batches(config, make_people(), seed=2)
    later.set_state(state)
    for batch in expected:
        assert all(map(torch.equal, batch, join(later.draw())))
