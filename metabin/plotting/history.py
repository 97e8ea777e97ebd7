"""A training over its iterations: step sizes, losses (Fig. 7), rho (Fig. 11), what it reaches."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import SubFigure
from pandas import Series
from torch import Tensor

from metabin.config import Config
from metabin.meta import cyclic_inner_lr
from metabin.plotting.marks import (
    draw_band,
    draw_intervals,
    side_by_side,
    write_beside,
)
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS, LOSSES
from metabin.train import learning_rate

PHASES = {"base": "Base step", "meta_train": "Meta-train", "meta_test": "Meta-test"}
TITLES = {  # of a finished training's tests
    "home": "At home: other people\non the training streets",
    "unseen": "Unseen streets",
    "far": "Far streets:\ntheir styles differ most",
}
LossCurves = Mapping[str, Sequence]  # "base/id" and so on


def draw_schedule(config: Config) -> plt.Figure:
    """figures/schedule.svg: the weights' step size and the inner step's, over a whole run."""
    shares = np.arange(1000) / 1000
    swing = config.inner_lr_low, config.inner_lr_high, config.inner_cycle
    sizes = {
        "α: how far the weights step": [learning_rate(config, done) for done in shares],
        "β: how far ρ is pushed, virtually": [cyclic_inner_lr(done, *swing) for done in shares],
    }
    labels = {"xlabel": "% of the iterations", "ylabel": "step size"}
    figure, panels = titled_panels(sizes, (5.2, 3.2), sharey=False, **labels)
    for axis, values in panels:
        axis.plot(100 * shares, values, color=INK)
        axis.set_ylim(0, None)
    return figure


def _by_phase(losses: LossCurves) -> dict[str, dict[str, Sequence]]:
    """Title of each phase that has losses -> its losses by their own names."""
    phases = {}
    for name, values in losses.items():
        phase, loss = name.split("/")
        phases.setdefault(PHASES[phase], {})[loss] = values
    return phases


def _draw_loss(axis: plt.Axes, loss: str, x: Sequence, faint: Sequence, bold: Sequence) -> None:
    """One loss over the iterations: faint as it was, bold its mean."""
    look = LOSSES[loss]
    axis.plot(x, faint, color=look.colour, alpha=0.25, lw=1)
    axis.plot(x, bold, **look.curve | {"marker": ""})


def draw_losses(history: LossCurves) -> plt.Figure:
    """The losses of every iteration, faint, and their means over 25 iterations, as in Fig. 7.

    A panel for each phase; `history` is by name, "base/id" and so on.
    """
    labels = {"xlabel": "iteration", "ylabel": "loss"}
    figure, panels = titled_panels(_by_phase(history), (4.4, 4), sharey=False, **labels)
    for axis, losses in panels:
        for loss, values in losses.items():
            means = Series(values).rolling(25, center=True, min_periods=1).mean()
            _draw_loss(axis, loss, range(1, len(values) + 1), values, means)
        axis.set_ylim(0, None)
        axis.legend()
    return figure


def draw_rho_history(iterations: Sequence[int], summaries: Tensor) -> plt.Figure:
    """rho over time in each layer and, last, over all channels, as in Fig. 11.

    The line is the mean, the band holds half of the channels. summaries (T, layers + 1, 4), each
    of `analysis.rho_summary`.
    """
    figure = plt.figure(figsize=(12.4, 2.3 * -(-summaries.shape[1] // 4)))
    _draw_rho(figure, iterations, summaries[None].numpy())
    return figure


def draw_history(report: Mapping) -> plt.Figure:
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


def _draw_rho(figure: plt.Figure | SubFigure, iterations: Sequence[int], rho: np.ndarray) -> None:
    """rho (seeds, T, layers + 1, 4), see `analysis.rho_summary`; every seed's mean is faint."""
    count, look = rho.shape[2], {"color": LOOKS["metabin"].colour}
    axes = figure.subplots(-(-count // 4), 4, sharex=True, sharey=True, squeeze=False)
    for i, axis in enumerate(axes.flat[:count]):
        mean, low, _, high = rho[:, :, i].mean(0).T  # (T,) each
        draw_band(axis, iterations, mean, (low, high), look)
        axis.plot(iterations, rho[:, :, i, 0].T, lw=0.8, alpha=0.5, **look)
        axis.set_title("all channels" if i == count - 1 else f"layer {i + 1}", fontsize=13)
        axis.set(ylim=(0, 1.02), yticks=(0, 0.5, 1))
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    figure.supxlabel("iteration", fontsize=14)
    figure.supylabel("ρ", fontsize=14)


def draw_rho_moment(history: Mapping, moment: int) -> plt.Figure:
    """rho in every layer at one recorded moment of MetaBIN's trainings.

    A dot is the mean over a layer's channels in one world, a bar holds the middle half of the
    channels (mean over worlds). history: of figures/results/history.json; moment: an index of its
    `iterations`.
    """
    summary = np.array([world[moment][:-1] for world in history["rho"]])  # (worlds, layers, 4)
    layers, colour = np.arange(1, summary.shape[1] + 1), LOOKS["metabin"].colour
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    low, _, high = summary[:, :, 1:].mean(0).T  # quartiles, (layers,) each
    axis.vlines(layers, low, high, color=colour, lw=14, alpha=0.25)
    for world, shift in zip(summary[:, :, 0], side_by_side(len(summary), 0.04), strict=True):
        axis.plot(layers + shift, world, ".", color=colour)
    done, last = history["iterations"][moment], history["iterations"][-1]
    axis.set(xlabel="norm layer", ylabel="ρ", ylim=(-0.03, 1.03), xticks=layers)
    axis.set_title(f"after {done} of {last} iterations")
    for y, name in enumerate(("IN", "BN")):
        write_beside(axis, name, (1, y), (6, 0), xycoords="axes fraction")
    return figure


def draw_progress(
    iterations: Sequence[int], rates: Sequence[float], committed: Mapping[str, float]
) -> plt.Figure:
    """Rank-1 of a training MetaBIN over its iterations, and of finished networks as level lines."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    style = LOOKS["metabin"].curve | {"label": "this run", "ms": 14, "clip_on": False}
    axis.plot(iterations, 100 * np.asarray(rates), **style)
    for method, rate in committed.items():
        look = LOOKS[method]
        line = ":" if method == "metabin" else look.line
        axis.axhline(100 * rate, color=look.colour, ls=line, label=f"{look.name}, trained")
    axis.set(xlabel="iteration", ylabel="Rank-1 (%)", ylim=(0, 100), xlim=(0, None))
    figure.legend(loc="outside right center")
    return figure


def draw_schedules(report: Mapping) -> plt.Figure:
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


def _draw_curves(axis: plt.Axes, curves: Mapping[str, Mapping], test: str, start: str) -> None:
    """Rank-1 of each method over the iterations, trained from one start, in one test."""
    for method, curve in curves.items():
        lengths = [int(length) for length in curve]
        rates = 100 * np.array([tests[test]["rank1"] for tests in curve.values()])  # (L, W)
        line = LOOKS[method].curve
        if start == "random weights":
            line |= {"mfc": "white", "mec": line["color"], "lw": 1, "alpha": 0.7}
        if len(curves) < 3:
            line["label"] += f",\nfrom {start}"
        draw_band(axis, lengths, rates.mean(1), (rates.min(1), rates.max(1)), line)


def draw_inner_step(
    changes: Mapping[str, Mapping[str, Tensor]],
    step_sizes: Sequence[float],
    titles: Mapping[str, str],
) -> plt.Figure:
    """What an inner step changes, by its size: a panel for each quantity, a line for each loss.

    changes: of `analysis.inner_step_changes`, loss -> quantity -> (sizes, 3); the bars are its
    intervals. rho's own move is drawn as it is, everything else in points (percent).
    """
    figure, axes = row_of_panels(len(titles), (4.1, 4.4), sharey=False)
    shifts = side_by_side(len(changes), 0.14)
    for axis, (quantity, title) in zip(axes, titles.items(), strict=True):
        unit = 1 if quantity == "move" else 100
        for (loss, values), shift in zip(changes.items(), shifts, strict=True):
            x, intervals = np.arange(len(step_sizes)) + shift, unit * values[quantity].numpy()
            draw_intervals(axis, x, intervals, LOSSES[loss].curve)
        axis.axhline(0, color=FAINT, lw=1.5, zorder=0)
        axis.set_xticks(range(len(step_sizes)), [f"{size:g}" for size in step_sizes])
        axis.set_xlabel("inner step size β")
        axis.set_title(title, fontsize=14)
    legend_below(figure)
    return figure
