"""Intervals of rates over people and over runs, and two models on the same queries.

Size letters: Q queries, I identities, R resamples.
"""

import torch
from scipy.special import stdtrit
from torch import Tensor

from metabin.evaluate.retrieval import Retrieval


def bootstrap_means(
    values: Tensor, groups: Tensor, num: int = 2000, generator: torch.Generator | None = None
) -> Tensor:
    """Means of `values` (Q,), with whole `groups` (Q,) drawn with replacement: (R,) float64.

    Images of one person fail together, so identities are drawn, not queries. Without a generator
    the draws are those of seed 0. Raises ValueError with fewer than two groups.
    """
    values, groups = torch.as_tensor(values).double().cpu(), torch.as_tensor(groups).cpu()
    _, group, size = groups.unique(return_inverse=True, return_counts=True)  # (Q,), (I,)
    if len(size) < 2 or values.shape != groups.shape or values.isnan().any():
        raise ValueError(
            "an interval needs a value (not NaN) and a group for each query, and at least two "
            "groups"
        )
    total = torch.zeros(len(size), dtype=torch.float64).index_add_(0, group, values)  # (I,)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    draws = torch.randint(len(size), (num, len(size)), generator=generator)  # (R, I)
    return total[draws].sum(dim=1) / size[draws].sum(dim=1)  # (R,)


def percentiles(means: Tensor, level: float = 0.95) -> tuple[float, float]:
    """The interval with the share `level` of the `means` (R,), as many below it as above."""
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = means.quantile(ends).tolist()
    return low, high


def bootstrap_interval(
    values: Tensor,
    groups: Tensor,
    num: int = 2000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (Q,) over whole `groups` (Q,)."""
    return percentiles(bootstrap_means(values, groups, num, generator), level)


def paired_values(a: Retrieval, b: Retrieval, metric: str = "mAP") -> Tensor:
    """a − b for each query, (Q,). Raises ValueError when they are not the same queries."""
    if not (torch.equal(a.queries, b.queries) and torch.equal(a.pids, b.pids)):
        raise ValueError("a paired comparison needs both models on the same queries and gallery")
    return a.values(metric) - b.values(metric)


def paired_difference(
    a: Retrieval, b: Retrieval, metric: str = "mAP", generator: torch.Generator | None = None
) -> tuple[float, float, float]:
    """Mean of a − b over the same queries with its 95 % interval over identities.

    Returns (difference, low, high).
    """
    difference = paired_values(a, b, metric)  # (Q,)
    return difference.mean().item(), *bootstrap_interval(difference, a.pids, generator=generator)


def paired_interval(differences: Tensor, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of one difference per run (seed, split) with Student's t interval over runs.

    Returns (mean, low, high).
    """
    differences = torch.as_tensor(differences, dtype=torch.float64)  # (runs,)
    if differences.ndim != 1 or len(differences) < 2 or not differences.isfinite().all():
        raise ValueError(
            "an interval over runs needs a finite difference for each of at least two runs"
        )
    mean, half = differences.mean().item(), differences.std().item() / len(differences) ** 0.5
    half *= float(stdtrit(len(differences) - 1, (1 + level) / 2))
    return mean, mean - half, mean + half
