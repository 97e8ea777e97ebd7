"""Assert what a phase of training may change."""

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# The buffers of BN and BIN layers
RUNNING = ("*running_mean", "*running_var", "*num_batches_tracked")


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def changes_only(model: nn.Module, *patterns: str) -> Iterator[list[str]]:
    """Inside, only parameters and buffers whose name matches a pattern ("*.rho") may change.

    Yields a list that holds, afterwards, the names of all that changed. Raises AssertionError that
    names what should not have.
    """
    before, changed = snapshot(model), []
    yield changed
    after = model.state_dict()
    for name, tensor in before.items():
        # NaN in the same place is no change
        if not torch.allclose(tensor, after[name], rtol=0, atol=0, equal_nan=True):
            changed.append(name)
    wrong = set(changed)
    for pattern in patterns:
        wrong -= set(fnmatch.filter(changed, pattern))
    if wrong:
        named = ", ".join(patterns) or "nothing"
        names = ", ".join(name for name in changed if name in wrong)
        raise AssertionError(f"only {named} may change here, but these did: {names}")
