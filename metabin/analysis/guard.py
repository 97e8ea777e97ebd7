"""Assert what a phase of training may change."""

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

# The buffers of BN and BIN layers
RUNNING = ("*running_mean", "*running_var", "*num_batches_tracked")


@contextmanager
def changes_only(model: nn.Module, *patterns: str) -> Iterator[list[str]]:
    """Inside, only parameters and buffers whose name matches a pattern may change.

    Patterns are as "*.rho" or *RUNNING. Yields a list that holds, afterwards, the names of all that
    changed. Raises AssertionError that names what should not have.
    """
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    changed: list[str] = []
    yield changed
    after = model.state_dict()
    for name, tensor in before.items():
        if name not in after or not _same(tensor, after[name].detach()):
            changed.append(name)
    allowed = set()
    for pattern in patterns:
        allowed.update(fnmatch.filter(changed, pattern))
    wrong = [name for name in changed if name not in allowed]
    if wrong:
        named = ", ".join(patterns) or "nothing"
        raise AssertionError(f"only {named} may change here, but these did: {', '.join(wrong)}")


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal, with NaN in the same places."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
