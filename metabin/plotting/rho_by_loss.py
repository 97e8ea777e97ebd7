"""How rho slides between IN and BN when it follows one loss (lesson 04)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metabin.analysis.rho_by_loss import Walk
from metabin.plotting.marks import write_beside
from metabin.plotting.rho import BALANCE
from metabin.plotting.style import INK

BINS = 20


def draw_rho_by_loss(walks: Mapping[str, Walk], steps: Sequence[int]) -> Figure:
    """A column for each loss, a histogram of all channels for each of these moments of its walk.

    Each has a scale of its own: shapes are compared, not heights. The upright line is the mean,
    which is written beside it. A title has the loss at the walk's first and last batch and the step
    size.
    """
    size = 4.1 * len(walks), 1.15 * len(steps) + 1.7
    figure, axes = plt.subplots(len(steps), len(walks), figsize=size, sharex=True, squeeze=False)
    for column, (loss, walk) in zip(axes.T, walks.items(), strict=True):
        for axis, step in zip(column, steps, strict=True):
            _draw_histogram(axis, walk.rho(step))
        change = (
            f"loss {walk.losses[0]:.2f} → {walk.losses[-1]:.2f}, step size {walk.step_size:.3g}"
        )
        column[0].set_title(f"{loss}\n{change}", fontsize=13)
        column[-1].set(xlabel="ρ   (0: IN, 1: BN)", xlim=(0, 1), xticks=(0, 0.5, 1))
    for axis, step in zip(axes[:, 0], steps, strict=True):
        label = f"{step} steps" if step else "start"
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
    return figure


def _draw_histogram(axis: Axes, rho: Tensor) -> None:
    """The share of channels in each part of [0, 1], in the colours of their balance; the mean."""
    counts, edges = np.histogram(rho.numpy(), BINS, (0, 1))
    middles = (edges[:-1] + edges[1:]) / 2
    axis.bar(middles, 100 * counts / counts.sum(), 1 / BINS, color=BALANCE(middles), edgecolor=INK)
    mean = rho.mean().item()
    axis.axvline(mean, color=INK, lw=2.4)
    left = mean > 0.5  # the text keeps to the wider side
    style = {"xycoords": ("data", "axes fraction"), "ha": "right" if left else "left"}
    write_beside(axis, f"mean {mean:.2f}", (mean, 0.78), (-6 if left else 6, 0), **style)
    axis.set(yticks=(), ylim=(0, 150 * counts.max() / counts.sum()))
    axis.grid(visible=False)
