"""Mini-batches: images drawn by the sampler, picked from where their pixels are, and augmented."""

import torch
from torch import Tensor

from metabin.config import Config
from metabin.data.augment import colour_jitter, erase, flip_and_crop, normalize
from metabin.data.images import ImageSet
from metabin.kernels.collectives import process_seed, shared_stream
from metabin.samplers import Batch, PKSampler


class Batches:
    """Endless augmented mini-batches from random streams of their own: a Batch for each domain.

    They are on the device of the labels; the set's pixels may be elsewhere (`images.place`).
    Every process draws images of its own. What all must decide alike, such as the split of
    domains, comes from `shared` and `shared_augment`; a single process shares with nobody, and
    these are its own two streams.
    """

    def __init__(self, config: Config, images: ImageSet, seed: int, ids_per_domain: int = 0):
        """`ids_per_domain` is P (0: the configuration's)."""
        self.config, self.images, self.device = config, images, images.pids.device
        self.ids_per_domain = ids_per_domain or config.ids_per_domain
        self.generator = torch.Generator().manual_seed(process_seed(seed))
        self.augment_generator = torch.Generator(self.device).manual_seed(process_seed(seed))
        self.shared = shared_stream(seed, self.generator)
        self.shared_augment = shared_stream(seed, self.augment_generator)
        self.sampler = self._sampler(images.domains.cpu(), self.ids_per_domain)
        self.sampler.limit_domains(config.domains_per_batch or images.num_domains)

    def pool(self) -> "Batches":
        """Draw as many identities from all domains as from one; returns self."""
        num_domains = self.sampler.num_domains
        self.sampler = self._sampler(None, self.ids_per_domain * num_domains)
        return self

    def _sampler(self, domains: Tensor | None, num_ids: int) -> PKSampler:
        pids = self.images.pids.cpu()
        return PKSampler(pids, domains, num_ids, self.config.images_per_id, self.generator)

    def draw(self) -> list[Batch]:
        """The next mini-batch, by domain: P*K images each."""
        rows = self.sampler.draw()  # (num_domains, P*K)
        images = self._augment(self._pick(rows.flatten()))  # (num_domains * P*K, 3, H, W)
        index = rows.flatten().to(self.device, non_blocking=True)
        labels = self.images.pids[index], self.images.domains[index]
        by_domain = (tensor.chunk(len(rows)) for tensor in (images, *labels))
        return [Batch(*tensors) for tensors in zip(*by_domain, strict=True)]

    def _pick(self, rows: Tensor) -> Tensor:
        """The pixels of these images, (N, 3, H, W) uint8, on the device."""
        pixels = self.images.images
        if pixels.device == self.device:
            return pixels.index_select(0, rows.to(self.device, non_blocking=True))
        pinned = self.device.type == "cuda"  # so that the host need not wait for the copy
        picked = torch.empty(len(rows), *pixels.shape[1:], dtype=torch.uint8, pin_memory=pinned)
        torch.index_select(pixels, 0, rows, out=picked)
        return picked.to(self.device, non_blocking=True)

    def _augment(self, images: Tensor) -> Tensor:
        """uint8 images -> normalized floats, (N, 3, H, W)."""
        config, generator = self.config, self.augment_generator
        images = flip_and_crop(images, config.crop_pad, generator)
        if config.colour_jitter:
            images = colour_jitter(images, config.colour_jitter, generator)
        images = normalize(images)
        return erase(images, config.erasing, generator) if config.erasing else images

    def get_state(self) -> list[Tensor]:
        """The state of the two random streams."""
        return [self.generator.get_state(), self.augment_generator.get_state()]

    def set_state(self, state: list[Tensor]) -> None:
        """Go on from a state that `get_state` gave."""
        self.generator.set_state(state[0])
        self.augment_generator.set_state(state[1])
