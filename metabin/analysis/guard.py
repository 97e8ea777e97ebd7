"""Assert what a phase of training may change."""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch

import torch
from torch import nn

RUNNING = (
    "*running_mean",
    "*running_var",
    "*num_batches_tracked",
)  # the buffers of BN and BIN layers


@contextmanager
def changes_only(model: nn.Module, *patterns: str) -> Iterator[list[str]]:
    """Inside, only parameters and buffers whose name matches one of the patterns may change ("*.rho", *RUNNING).

    Yields a list that holds, afterwards, the names of all that changed. Raises AssertionError naming what should not have.
    """
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    changed: list[str] = []
    yield changed
    after = model.state_dict()
    changed += [
        name
        for name in before
        if name not in after or not _same(before[name], after[name].detach())
    ]
    if wrong := [
        name for name in changed if not any(fnmatch(name, pattern) for pattern in patterns)
    ]:
        allowed = ", ".join(patterns) or "nothing"
        raise AssertionError(f"only {allowed} may change here, but these did: {', '.join(wrong)}")


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
