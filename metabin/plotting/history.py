"""A training run over its iterations: losses by phase (Fig. 7), rho in every layer (Fig. 11)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from metabin.plotting.marks import draw_band
from metabin.plotting.panels import grid, layer_panels, row_of_panels
from metabin.plotting.style import LOOKS, LOSSES

PHASES = {"base": "Base step", "meta_train": "Meta-train", "meta_test": "Meta-test"}
LossCurves = Mapping[str, Sequence]  # "base/id" and so on


def smoothed(values: Sequence[float], width: int) -> np.ndarray:
    """A running mean over up to `width` values, as many as there are at both ends."""
    sums = np.cumsum([0.0, *values])
    last = np.minimum(np.arange(len(values)) + width // 2 + 1, len(values))
    first = np.maximum(np.arange(len(values)) - width // 2, 0)
    return (sums[last] - sums[first]) / (last - first)


def _by_phase(losses: LossCurves) -> dict[str, dict[str, Sequence]]:
    """Title of each phase that has losses -> its losses by their own names."""
    phases = {}
    for name, values in losses.items():
        phase, _, loss = name.partition("/")
        phases.setdefault(PHASES[phase], {})[loss] = values
    return phases


def _draw_loss(axis: Axes, loss: str, x: Sequence, faint: np.ndarray, bold: np.ndarray) -> None:
    """One loss over the iterations: faint as it was, bold its mean."""
    colour, line = LOSSES[loss]
    axis.plot(x, faint, color=colour, alpha=0.25, lw=1)
    axis.plot(x, bold, color=colour, ls=line, label=loss)


def draw_losses(history: LossCurves, width: int = 25) -> Figure:
    """The losses of every iteration, faint, and their running means, as in Fig. 7.

    A panel for each phase; `history` is by name, "base/id" and so on.
    """
    phases = _by_phase(history)
    figure, axes = row_of_panels(len(phases), (4.4, 4), sharey=False)
    for axis, (title, losses) in zip(axes, phases.items(), strict=True):
        for loss, values in losses.items():
            _draw_loss(axis, loss, range(1, len(values) + 1), values, smoothed(values, width))
        axis.set(title=title, xlabel="iteration", ylim=(0, None))
        axis.legend()
    axes[0].set_ylabel("loss")
    return figure


def draw_rho_history(iterations: Sequence[int], summaries: Tensor) -> Figure:
    """rho over time in each layer and, last, over all channels, as in Fig. 11.

    The line is the mean, the band holds half of the channels. summaries (T, layers + 1, 4), each
    of `analysis.rho_summary`.
    """
    rows, columns = grid(summaries.shape[1])
    figure = plt.figure(figsize=(3.1 * columns, 2.3 * rows))
    _draw_rho(figure, iterations, summaries[None].numpy())
    return figure


def draw_history(report: Mapping) -> Figure:
    """Losses and rho over training (figures/results/history.json): means, every seed faint.

    Above, a panel for each phase's losses (Fig. 7), one value for each part of the schedule; below,
    rho in each layer and over all channels (Fig. 11), as `draw_rho_history` draws it.
    """
    figure = plt.figure(figsize=(13, 12.5))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2.1))
    phases, last = _by_phase(report["losses"]), report["iterations"][-1]
    axes = above.subplots(1, len(phases), squeeze=False)[0]
    for axis, (title, losses) in zip(axes, phases.items(), strict=True):
        for loss, by_seed in losses.items():
            seeds = np.asarray(by_seed).T  # (parts, seeds)
            middles = (np.arange(len(seeds)) + 0.5) * last / len(seeds)
            _draw_loss(axis, loss, middles, seeds, seeds.mean(1))
        top = 1.3 * axis.dataLim.y1  # room for the legend
        axis.set(title=title, xlabel="iteration", ylabel="loss", ylim=(0, top))
        axis.legend(loc="upper right", ncols=3, columnspacing=1, handlelength=1.6)
    _draw_rho(below, report["iterations"], np.asarray(report["rho"]))
    return figure


def _draw_rho(figure: Figure | SubFigure, iterations: Sequence[int], rho: np.ndarray) -> None:
    """rho (seeds, T, layers + 1, 4), see `analysis.rho_summary`; every seed's mean is faint."""
    count, look = rho.shape[2], {"color": LOOKS["metabin"].colour}
    for i, axis in enumerate(layer_panels(figure, count, "iteration")):
        mean, low, _, high = rho[:, :, i].mean(0).T  # (T,) each
        draw_band(axis, iterations, mean, (low, high), look)
        axis.plot(iterations, rho[:, :, i, 0].T, lw=0.8, alpha=0.5, **look)
        axis.set_title("all channels" if i == count - 1 else f"layer {i + 1}", fontsize=13)
        axis.set_ylim(0, 1.02)
