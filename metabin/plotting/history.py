"""A training run over its iterations: losses by phase (Fig. 7), rho in every layer (Fig. 11)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from metabin.plotting.panels import draw_rho_band, grid, layer_panels
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


def draw_losses(history: LossCurves, width: int = 25) -> Figure:
    """The losses of every iteration, faint, and their running means, as in Fig. 7.

    A panel for each phase; `history` is by name, "base/id" and so on.
    """
    phases = _by_phase(history)
    figure, axes = plt.subplots(1, len(phases), figsize=(4.4 * len(phases), 4), squeeze=False)
    for axis, (title, losses) in zip(axes[0], phases.items(), strict=True):
        for loss, values in losses.items():
            (colour, line), steps = LOSSES[loss], range(1, len(values) + 1)
            axis.plot(steps, values, color=colour, alpha=0.2, lw=1)
            axis.plot(steps, smoothed(values, width), color=colour, ls=line, label=loss)
        axis.set(title=title, xlabel="iteration", ylim=(0, None))
        axis.legend()
    axes[0, 0].set_ylabel("loss")
    return figure


def draw_rho_history(iterations: Sequence[int], summaries: Tensor) -> Figure:
    """rho over time in each layer and, last, over all channels, as in Fig. 11.

    The line is the mean, the band holds half of the channels. summaries (T, layers + 1, 4), each
    of `analysis.rho_summary`.
    """
    count = summaries.shape[1]
    rows, columns = grid(count)
    figure = plt.figure(figsize=(3.1 * columns, 2.3 * rows))
    by_layer = summaries.permute(1, 2, 0).numpy()  # (layers + 1, 4, T)
    for axis, (mean, low, _, high) in zip(_rho_panels(figure, count), by_layer, strict=True):
        draw_rho_band(axis, iterations, mean, low, high)
    return figure


def draw_history(report: Mapping) -> Figure:
    """Losses and rho over training (figures/results/history.json): means, every seed faint.

    Above, a panel for each phase's losses (Fig. 7); below, rho in each layer and over all channels
    (Fig. 11): the mean, and the band that holds half of the channels.
    """
    figure = plt.figure(figsize=(13, 12.5))
    above, below = figure.subfigures(2, 1, height_ratios=(1, 2.1))
    phases, last = _by_phase(report["losses"]), report["iterations"][-1]
    axes = above.subplots(1, len(phases), squeeze=False)[0]
    for axis, (title, losses) in zip(axes, phases.items(), strict=True):
        for loss, seeds in losses.items():
            _draw_loss(axis, loss, np.asarray(seeds), last)
        top = 1.3 * axis.dataLim.y1  # room for the legend
        axis.set(title=title, xlabel="iteration", ylabel="loss", ylim=(0, top))
        axis.legend(loc="upper right", ncols=3, columnspacing=1, handlelength=1.6)
    _draw_paths(below, report["iterations"], np.asarray(report["rho"]))
    return figure


def _draw_loss(axis: Axes, loss: str, seeds: np.ndarray, last: int) -> None:
    """One loss (seeds, parts of the schedule), each part's mean drawn at its middle."""
    colour, line = LOSSES[loss]
    x = (np.arange(seeds.shape[1]) + 0.5) * last / seeds.shape[1]  # (parts,)
    axis.plot(x, seeds.T, color=colour, lw=0.8, alpha=0.3)
    axis.plot(x, seeds.mean(0), color=colour, ls=line, label=loss)


def _draw_paths(figure: SubFigure, iterations: Sequence[int], rho: np.ndarray) -> None:
    """rho (seeds, moments, layers + 1, 4), see `analysis.rho_summary`; a panel for each layer."""
    colour = LOOKS["metabin"].colour
    for i, axis in enumerate(_rho_panels(figure, rho.shape[2])):
        mean, low, _, high = rho[:, :, i].mean(0).T  # (moments,) each
        draw_rho_band(axis, iterations, mean, low, high)
        axis.plot(iterations, rho[:, :, i, 0].T, color=colour, lw=0.8, alpha=0.5)  # every seed


def _rho_panels(figure: Figure | SubFigure, count: int) -> list[Axes]:
    """A panel for each layer's rho over the iterations and, last, one for all channels'."""
    axes = layer_panels(figure, count, "iteration")
    for i, axis in enumerate(axes, 1):
        axis.set_title("all channels" if i == count else f"layer {i}", fontsize=13)
        axis.set_ylim(0, 1.02)
    return axes
