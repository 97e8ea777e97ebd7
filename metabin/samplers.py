"""Which images a batch holds: P identities with K images each, and the split of domains for the meta-step."""

import torch
from torch import Tensor


class PKSampler:
    """Draws P identities with K images each, from every domain or from the pool (Algorithm 1, lines 4, 10 and 14).

    pids (N,), domains (N,) or None for the pool. `draw()` gives image numbers (num_domains, P*K), one row per domain
    (one row in all for the pool), so that a split by domain is a choice of rows. With `num_domains`, a batch has room for
    that many, chosen at random each time. Draws are independent of each other: the generator's state is the sampler's
    whole state. An identity seen in several domains is drawn within a domain; one with fewer than K images repeats them.
    Raises ValueError when a domain has fewer than P identities, or when there are fewer domains than asked for.
    """

    def __init__(
        self,
        pids: Tensor,
        domains: Tensor | None,
        p: int,
        k: int,
        generator: torch.Generator,
        num_domains: int | None = None,
    ):
        if p < 1 or k < 1 or not len(pids):
            raise ValueError(
                f"no batch can be drawn: {p} identities x {k} images, out of {len(pids)} images"
            )
        unit = "identities in all" if domains is None else "identities per domain"
        domains = torch.zeros_like(pids) if domains is None else domains
        units, unit_of, self.counts = torch.stack([domains, pids]).unique(
            dim=1, return_inverse=True, return_counts=True
        )  # a unit is an identity within a domain, sorted by domain
        self.p, self.k, self.generator = p, k, generator
        names, sizes = units[0].unique(return_counts=True)
        if (sizes < p).any():
            short = {
                int(name): int(size) for name, size in zip(names, sizes, strict=True) if size < p
            }
            raise ValueError(
                f"{p} {unit} are asked for, but there are fewer (domain: identities): {short}"
            )
        self.unit_ranges = [
            (int(end - size), int(end)) for size, end in zip(sizes, sizes.cumsum(0), strict=True)
        ]
        self.num_domains = num_domains or len(self.unit_ranges)
        if self.num_domains > len(self.unit_ranges):
            raise ValueError(
                f"{num_domains} domains per batch are asked for, but there are {len(self.unit_ranges)}"
            )
        order, start = unit_of.argsort(stable=True), self.counts.cumsum(0) - self.counts
        self.members = torch.zeros(
            len(self.counts), int(self.counts.max()), dtype=torch.long
        )  # (units, most images)
        self.members[unit_of[order], torch.arange(len(order)) - start[unit_of[order]]] = order

    def draw(self) -> Tensor:
        """One batch: image numbers (num_domains, P*K)."""
        ranges = self.unit_ranges
        if self.num_domains < len(ranges):
            ranges = [ranges[d] for d in self._randperm(len(ranges))[: self.num_domains].tolist()]
        units = torch.cat(
            [first + self._randperm(last - first)[: self.p] for first, last in ranges]
        )
        counts = self.counts[units, None]  # (num_domains * P, 1)
        columns = torch.arange(self.members.shape[1])
        keys = torch.rand(len(units), len(columns), generator=self.generator).masked_fill(
            columns >= counts, 2.0
        )
        shuffled = keys.argsort(
            1
        )  # (num_domains * P, most images): an identity's own images first, in random order
        picks = shuffled.gather(1, torch.arange(self.k) % counts)  # (num_domains * P, K)
        return self.members[units].gather(1, picks).view(len(ranges), -1)  # (num_domains, P*K)

    def _randperm(self, n: int) -> Tensor:
        return torch.randperm(n, generator=self.generator)


def split_domains(
    num_domains: int, num_meta_train: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Split the source domains at random into meta-train and meta-test (Algorithm 1, line 8).

    Returns the domain numbers (num_meta_train,) and (num_domains - num_meta_train,).
    Raises ValueError when one side would be empty.
    """
    if not 0 < num_meta_train < num_domains:
        raise ValueError(
            f"{num_domains} domains cannot be split into {num_meta_train} for meta-train and "
            f"{num_domains - num_meta_train} for meta-test: each side needs at least one"
        )
    order = torch.randperm(num_domains, generator=generator)
    return order[:num_meta_train], order[num_meta_train:]
