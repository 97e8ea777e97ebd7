"""The step sizes of a training run, what it reaches, and its inner steps (lesson 06)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from metabin.config import Config
from metabin.meta import cyclic_inner_lr
from metabin.plotting.marks import draw_band, method_line, side_by_side
from metabin.plotting.panels import legend_below, row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS, LOSSES
from metabin.train import learning_rate

TITLES = {  # of a finished training's tests
    "home": "At home: other people\non the training streets",
    "unseen": "Unseen streets",
    "far": "Far streets:\ntheir styles differ most",
}


def draw_schedule(config: Config, points: int = 1000) -> Figure:
    """figures/schedule.svg: the weights' step size and the inner step's, over a whole run."""
    shares = [i / points for i in range(points)]
    swing = config.inner_lr_low, config.inner_lr_high, config.inner_cycle
    sizes = {
        "α: how far the weights step": [learning_rate(config, done) for done in shares],
        "β: how far ρ is pushed, virtually": [cyclic_inner_lr(done, *swing) for done in shares],
    }
    figure, axes = row_of_panels(len(sizes), (5.2, 3.2), sharey=False)
    for axis, (title, values) in zip(axes, sizes.items(), strict=True):
        axis.plot([100 * done for done in shares], values, color=INK)
        axis.set(title=title, xlabel="% of the iterations", ylim=(0, None))
    axes[0].set_ylabel("step size")
    return figure


def draw_schedules(report: Mapping) -> Figure:
    """figures/schedules.svg: Rank-1 after schedules of every length.

    A panel for each test; above BN and IN from both starts, below every method as it was tuned.
    Lines are means over worlds, bands go from the worst to the best world. Trainings from random
    weights are drawn thin and hollow.
    """
    *starts, tuned = report["curves"].items()
    size = 4.8 * len(TITLES), 9.6
    figure, axes = plt.subplots(2, len(TITLES), figsize=size, sharex=True, sharey=True)
    for column, (test, title) in zip(axes.T, TITLES.items(), strict=True):
        for axis, drawn in zip(column, (starts, [tuned]), strict=True):
            for start, curves in drawn:
                _draw_curves(axis, curves, test, start)
        column[0].set_title(title)
        column[1].set_xlabel("iterations")
    for row in axes:
        row[0].set_ylabel("Rank-1 (%)")
        row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    ticks = (60, 135, 300, 675)
    axes[0, 0].set(xscale="log", ylim=(0, 100))
    axes[0, 0].set_xticks(ticks, ticks)
    axes[0, 0].minorticks_off()
    return figure


def _draw_curves(axis: Axes, curves: Mapping[str, Mapping], test: str, start: str) -> None:
    """Rank-1 of each method over the iterations, trained from one start, in one test."""
    for method, curve in curves.items():
        lengths = [int(length) for length in curve]
        rates = 100 * np.array([tests[test]["rank1"] for tests in curve.values()])  # (L, W)
        line = method_line(method)
        if start == "random weights":
            line |= {"mfc": "white", "mec": line["color"], "lw": 1, "alpha": 0.7}
        if len(curves) < 3:
            line["label"] = f"{line['label']},\nfrom {start}"
        draw_band(axis, lengths, rates.mean(1), (rates.min(1), rates.max(1)), line)


def draw_progress(
    iterations: Sequence[int], rates: Sequence[float], committed: Mapping[str, float]
) -> Figure:
    """Rank-1 of a training MetaBIN over its iterations, and of finished networks as level lines."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    style = method_line("metabin") | {"label": "this run", "ms": 14, "clip_on": False}
    axis.plot(iterations, 100 * np.asarray(rates), **style)
    for method, rate in committed.items():
        look = LOOKS[method]
        line = ":" if method == "metabin" else look.line
        axis.axhline(100 * rate, color=look.colour, ls=line, label=f"{look.name}, trained")
    axis.set(xlabel="iteration", ylabel="Rank-1 (%)", ylim=(0, 100), xlim=(0, None))
    figure.legend(loc="outside right center")
    return figure


def draw_rho_moment(history: Mapping, moment: int) -> Figure:
    """rho in every layer at one recorded moment of MetaBIN's trainings.

    A dot is the mean over a layer's channels in one world, a bar holds the middle half of the
    channels (mean over worlds). history: of figures/results/history.json; moment: an index of its
    `iterations`.
    """
    summary = np.array([world[moment][:-1] for world in history["rho"]])  # (worlds, layers, 4)
    layers = np.arange(1, summary.shape[1] + 1)
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    low, _, high = summary[:, :, 1:].mean(0).T  # quartiles, (layers,) each
    axis.vlines(layers, low, high, color=LOOKS["metabin"].colour, lw=14, alpha=0.25)
    for world, shift in zip(summary[:, :, 0], side_by_side(len(summary), 0.04), strict=True):
        axis.plot(layers + shift, world, ".", color=LOOKS["metabin"].colour)
    axis.set(xlabel="norm layer", ylabel="ρ", ylim=(-0.03, 1.03), xticks=layers)
    axis.set_title(
        f"after {history['iterations'][moment]} of {history['iterations'][-1]} iterations"
    )
    axis.annotate("BN", (1, 1), (6, 0), xycoords="axes fraction", textcoords="offset points")
    axis.annotate("IN", (1, 0), (6, 0), xycoords="axes fraction", textcoords="offset points")
    return figure


def draw_inner_step(
    changes: Mapping[str, Mapping[str, Tensor]],
    step_sizes: Sequence[float],
    titles: Mapping[str, str],
) -> Figure:
    """What an inner step changes, by its size: a panel for each quantity, a line for each loss.

    changes: of `analysis.inner_step_changes`, loss -> quantity -> (sizes, 3); the bars are its
    intervals. rho's own move is drawn as it is, everything else in points (percent).
    """
    figure, axes = row_of_panels(len(titles), (4.1, 4.4), sharey=False)
    for axis, (quantity, title) in zip(axes, titles.items(), strict=True):
        unit = 1 if quantity == "move" else 100
        looks = zip(changes.items(), "osD", side_by_side(len(changes), 0.14), strict=False)
        for (loss, values), marker, shift in looks:
            colour, line = LOSSES[loss]
            x = np.arange(len(step_sizes)) + shift
            middle, low, high = unit * values[quantity].T.numpy()  # (sizes,) each
            axis.plot(x, middle, color=colour, ls=line, marker=marker, label=loss)
            axis.vlines(x, low, high, color=colour, lw=1.6, zorder=1.9)
        axis.axhline(0, color=FAINT, lw=1.5, zorder=0)
        axis.set_xticks(range(len(step_sizes)), [f"{size:g}" for size in step_sizes])
        axis.set_xlabel("inner step size β")
        axis.set_title(title, fontsize=14)
    legend_below(figure, axes[0])
    return figure
