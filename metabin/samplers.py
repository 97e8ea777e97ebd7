"""Batches: P identities with K images each, and the split of domains for the meta-step."""

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Images with their labels: images (N, 3, H, W) float, pids (N,), domains (N,)."""

    images: Tensor
    pids: Tensor
    domains: Tensor


class PKSampler:
    """Draws P identities with K images each from every domain (Algorithm 1, lines 4, 10 and 14).

    pids (N,), domains (N,) -> image numbers (num_domains, P*K) a draw, a row for each domain, so
    that a split by domain is a choice of rows. Without domains the pool is one. An identity seen
    in several domains is drawn within a domain; one with fewer than K images repeats them. Draws
    are independent: the generator's state is the sampler's whole state.

    Raises ValueError when a domain has fewer than P identities.
    """

    def __init__(
        self,
        pids: Tensor,
        domains: Tensor | None,
        p: int,
        k: int,
        generator: torch.Generator,
    ):
        if p < 1 or k < 1 or not len(pids):
            raise ValueError(
                f"no batch can be drawn: {p} identities x {k} images, out of {len(pids)} images"
            )
        unit = "identities in all" if domains is None else "identities per domain"
        domains = torch.zeros_like(pids) if domains is None else domains
        self.p, self.k, self.generator = p, k, generator
        self.domain_generator = generator  # chooses domains where a batch has not room for all

        # A unit is an identity within a domain; units are sorted by domain.
        units, unit_of, self.counts = torch.stack([domains, pids]).unique(
            dim=1, return_inverse=True, return_counts=True
        )
        names, sizes = units[0].unique(return_counts=True)
        if (sizes < p).any():
            short = dict(zip(names[sizes < p].tolist(), sizes[sizes < p].tolist(), strict=True))
            raise ValueError(
                f"{p} {unit} are asked for, but there are fewer (domain: identities): {short}"
            )
        ends = sizes.cumsum(0)
        self.unit_ranges = list(zip((ends - sizes).tolist(), ends.tolist(), strict=True))
        self.num_domains = len(self.unit_ranges)  # in a batch

        # The images of each unit, padded with zeros: (units, most images of a unit).
        order = unit_of.argsort(stable=True)
        first = self.counts.cumsum(0) - self.counts
        column = torch.arange(len(order)) - first[unit_of[order]]
        self.members = torch.zeros(len(self.counts), int(self.counts.max()), dtype=torch.long)
        self.members[unit_of[order], column] = order

    def limit_domains(self, most: int) -> None:
        """Let a batch hold at most so many domains, chosen at random each time."""
        self.num_domains = min(most, len(self.unit_ranges))

    def draw(self) -> Tensor:
        """One batch: image numbers (num_domains, P*K)."""
        ranges = self.unit_ranges
        if self.num_domains < len(ranges):
            chosen = torch.randperm(len(ranges), generator=self.domain_generator)
            ranges = [ranges[domain] for domain in chosen[: self.num_domains].tolist()]
        # P identities of each domain.
        units = []
        for first, last in ranges:
            order = torch.randperm(last - first, generator=self.generator)
            units.append(first + order[: self.p])
        units = torch.cat(units)  # (num_domains * P,)
        # K images of each identity: shuffle its images, then take the first K, round and round.
        counts = self.counts[units, None]  # (num_domains * P, 1)
        columns = torch.arange(self.members.shape[1])
        keys = torch.rand(len(units), len(columns), generator=self.generator)
        shuffled = keys.masked_fill(columns >= counts, 2.0).argsort(1)  # own images come first
        picks = shuffled.gather(1, torch.arange(self.k) % counts)  # (num_domains * P, K)
        return self.members[units].gather(1, picks).view(len(ranges), -1)  # (num_domains, P*K)


def count_meta_train(share: float, num_domains: int) -> int:
    """How many of a batch's domains are meta-train.

    Raises ValueError when a side would be empty.
    """
    num_meta_train = int(share * num_domains + 0.5)
    if not 0 < num_meta_train < num_domains:
        raise ValueError(
            f"meta-learning needs a domain on each side, but {num_meta_train} of {num_domains} "
            f"would be meta-train (meta_train_share={share}): give more domains (cameras are "
            'some: data.cameras_as_domains), or use algorithm="joint"'
        )
    return num_meta_train


def split_domains(
    num_domains: int, num_meta_train: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Split the source domains at random into meta-train and meta-test (Algorithm 1, line 8).

    Returns domain numbers (num_meta_train,) and (num_domains - num_meta_train,).
    Raises ValueError when one side would be empty.
    """
    if not 0 < num_meta_train < num_domains:
        raise ValueError(
            f"{num_domains} domains cannot be split into {num_meta_train} for meta-train and "
            f"{num_domains - num_meta_train} for meta-test: each side needs at least one"
        )
    order = torch.randperm(num_domains, generator=generator)
    return order[:num_meta_train], order[num_meta_train:]


def join(batches: list[Batch]) -> Batch:
    """One batch out of several."""
    columns = zip(*batches, strict=True)  # all images, all pids, all domains
    return Batch(*(torch.cat(tensors) for tensors in columns))


def split_sides(
    batches: list[Batch], num_meta_train: int, generator: torch.Generator
) -> tuple[Batch, Batch]:
    """X_S and X_T: the batches of the meta-train and the meta-test domains of a random split."""
    meta_train, meta_test = split_domains(len(batches), num_meta_train, generator)
    return join([batches[d] for d in meta_train]), join([batches[d] for d in meta_test])
