"""Mini-batches: pictures drawn by the sampler, picked from wherever their pixels lie, augmented, and split by domain."""

import torch
from torch import Tensor

from metabin.config import Config
from metabin.data.augment import colour_jitter, erase, flip_and_crop, normalize
from metabin.data.images import ImageSet
from metabin.meta import Batch
from metabin.samplers import PKSampler, split_domains


class Batches:
    """Endless augmented mini-batches from random streams of their own, one `Batch` for each domain (or for the pool).

    They come to the device that the labels are on; the set's pixels may lie elsewhere (see `images.place`).
    """

    def __init__(self, config: Config, images: ImageSet, seed: int, pooled: bool = False):
        self.config, self.images, self.device = config, images, images.pids.device
        self.generator = torch.Generator().manual_seed(seed)
        self.augment_generator = torch.Generator(self.device).manual_seed(seed)
        pids, domains, p = images.pids.cpu(), images.domains.cpu(), config.ids_per_domain
        room = min(config.domains_per_batch or images.num_domains, images.num_domains)
        domains, p, room = (None, p * room, None) if pooled else (domains, p, room)
        self.sampler = PKSampler(pids, domains, p, config.images_per_id, self.generator, room)

    def draw(self) -> list[Batch]:
        """The next mini-batch, by domain: P*K images each."""
        rows = self.sampler.draw()  # (num_domains, P*K)
        images = self._augment(self._pick(rows.flatten()))  # (num_domains * P*K, 3, H, W)
        index = rows.flatten().to(self.device, non_blocking=True)
        parts = (
            t.chunk(len(rows))
            for t in (images, self.images.pids[index], self.images.domains[index])
        )
        return [Batch(*part) for part in zip(*parts, strict=True)]

    def _pick(self, rows: Tensor) -> Tensor:
        """The pixels of these images, (N, 3, H, W) uint8, on the device."""
        pixels = self.images.images
        if pixels.device == self.device:
            return pixels.index_select(0, rows.to(self.device, non_blocking=True))
        picked = torch.empty(
            len(rows), *pixels.shape[1:], dtype=torch.uint8, pin_memory=self.device.type == "cuda"
        )
        torch.index_select(pixels, 0, rows, out=picked)
        return picked.to(
            self.device, non_blocking=True
        )  # out of pinned memory, so that the host need not wait

    def _augment(self, images: Tensor) -> Tensor:
        config, generator = self.config, self.augment_generator
        images = flip_and_crop(images, config.crop_pad, generator)
        if config.colour_jitter:
            images = colour_jitter(images, config.colour_jitter, generator)
        images = normalize(images)  # (N, 3, H, W)
        return erase(images, config.erasing, generator) if config.erasing else images

    def get_state(self) -> list[Tensor]:
        return [self.generator.get_state(), self.augment_generator.get_state()]

    def set_state(self, state: list[Tensor]):
        for generator, saved in zip((self.generator, self.augment_generator), state, strict=True):
            generator.set_state(saved)


def join(batches: list[Batch]) -> Batch:
    """One batch out of several."""
    return Batch(*(torch.cat(part) for part in zip(*batches, strict=True)))


def split_sides(
    batches: list[Batch], num_meta_train: int, generator: torch.Generator
) -> tuple[Batch, Batch]:
    """The meta-train and the meta-test batch of a random split of a mini-batch's domains."""
    meta_train, meta_test = split_domains(len(batches), num_meta_train, generator)
    return join([batches[d] for d in meta_train]), join([batches[d] for d in meta_test])
