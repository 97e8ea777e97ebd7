"""The figures of lesson 11: what metrics count, how far chance moves a rate, rank lists, who printed what."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from metabin.datasets import SETS
from metabin.datasets.published import published
from metabin.datasets.splits import DESIGNS
from metabin.evaluate.certainty import LOSS_ABLATION, half_width
from metabin.plotting.style import FAINT, INK, LOOKS
from metabin.plotting.worlds import draw_rankings

TARGETS = ("o", "s", "^", "D")  # a marker for each of the four small sets


class RankList(NamedTuple):
    """A query and the best of its gallery: pictures (3, H, W) and (K, 3, H, W), right or not (K,), who is where."""

    query: Tensor
    images: Tensor
    right: Tensor
    query_camera: int
    cameras: Sequence[int]


def draw_rank_lists(lists: Mapping[str, RankList]) -> Figure:
    """`plotting.draw_rankings` with the camera that took each picture below it, counted from 1."""
    figure = draw_rankings(
        {label: (found.query, found.images, found.right) for label, found in lists.items()}
    )
    places = iter(figure.axes)  # row by row, the query first
    for found in lists.values():
        for camera in (found.query_camera, *found.cameras):
            next(places).set_xlabel(f"cam {camera + 1}", fontsize=11, labelpad=4)
    return figure


def draw_two_areas(right: Sequence[bool]) -> Figure:
    """Precision over recall of one rank list, and the area that each definition of average precision takes."""
    right = np.asarray(right, dtype=float)
    found, ranks = right.cumsum(), np.arange(1, len(right) + 1)
    recall, precision = np.r_[0, found / found[-1]], np.r_[1, found / ranks]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    areas = {"step": precision[1:], "trapezoid": (precision[1:] + precision[:-1]) / 2}
    for axis, (name, height) in zip(axes, areas.items(), strict=True):
        width = np.diff(recall)
        for i in np.flatnonzero(width):
            left, top = precision[i + 1 if name == "step" else i], precision[i + 1]
            axis.fill_between(
                recall[i : i + 2], [left, top], color=LOOKS["half"].colour, alpha=0.6, lw=0
            )
        axis.plot(recall, precision, "o-", color=INK, ms=7, lw=1.2)
        for rank, (x, y) in enumerate(zip(recall[1:], precision[1:], strict=True), 1):
            axis.annotate(str(rank), (x, y), (7, 4), textcoords="offset points", fontsize=12)
        axis.set(
            xlabel="recall",
            xlim=(-0.02, 1.1),
            ylim=(0, 1.12),
            title=f"{name}: {(width * height).sum():.3f}",
        )
    axes[0].set_ylabel("precision")
    return figure


def draw_rules(rates: Mapping[str, Mapping[str, float]]) -> Figure:
    """Rank-1 of several methods under several rules: a group of bars for each rule, a bar for each method."""
    figure, axis = plt.subplots(figsize=(9.5, 4.4))
    methods = list(next(iter(rates.values())))
    for i, method in enumerate(methods):
        look, x = LOOKS[method], np.arange(len(rates)) + 0.36 * (i - (len(methods) - 1) / 2)
        percent = [100 * row[method] for row in rates.values()]
        axis.bar(x, percent, 0.33, color=look.colour, hatch=look.hatch, label=look.name)
        for place, value in zip(x, percent, strict=True):
            axis.annotate(
                f"{value:.0f}", (place, value), (0, 3), textcoords="offset points", ha="center"
            )
    axis.set_xticks(range(len(rates)), list(rates))
    axis.set(ylabel="Rank-1 (%)", ylim=(0, 112), yticks=range(0, 101, 25))
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper right", ncols=len(methods))
    return figure


def draw_half_widths(
    targets: Mapping[str, tuple[float, int]], differences: Sequence[float]
) -> Figure:
    """Half of the 95 % interval of Rank-1 on one split, by the number of queries; `targets` has (rate, queries) each.

    The band below holds `differences` (in points) that somebody wants to see.
    """
    figure, axis = plt.subplots(figsize=(11, 4.8))
    queries = np.geomspace(40, 3400, 200)
    for rate, line in ((0.5, "-"), (0.7, "--"), (0.9, ":")):
        label = f"Rank-1 of {100 * rate:.0f} %"
        axis.plot(
            queries,
            [100 * half_width(rate, n) for n in queries],
            color=FAINT,
            ls=line,
            lw=2,
            label=label,
        )
    for (name, (rate, count)), marker in zip(targets.items(), TARGETS, strict=False):
        y, label = 100 * half_width(rate, count), f"{name}, {count} queries"
        axis.plot(count, y, marker, color=INK, ms=12, label=f"{label}: ±{y:.1f}")
    axis.axhspan(
        min(differences),
        max(differences),
        facecolor=LOOKS["metabin"].colour,
        alpha=0.3,
        hatch="//",
        lw=0,
    )
    text = f"steps between the rows of Table 3: {min(differences):.1f} to {max(differences):.1f} points"
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    axis.text(
        44, (min(differences) * max(differences)) ** 0.5, text, va="center", fontsize=13, bbox=box
    )
    axis.set(
        xscale="log", yscale="log", xlabel="queries", ylabel="± points of Rank-1", xlim=(40, 3400)
    )
    axis.set_xticks([50, 100, 200, 500, 1000, 3000], ["50", "100", "200", "500", "1,000", "3,000"])
    axis.set_yticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    axis.minorticks_off()
    figure.legend(loc="outside right upper")
    return figure


def draw_chance(panels: Mapping[str, tuple[float, Tensor]]) -> Figure:
    """What repeated tests would show where the truth is known: a panel each with (true difference, differences (R,)).

    All in points. Tests that put the wrong network ahead are hatched, and their share is written.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 3.9), sharex=True, sharey=True, squeeze=False
    )
    reach = max(values.abs().max().item() for _, values in panels.values())
    bins = np.linspace(-reach, reach, 41)  # 0 is an edge
    for axis, (title, (truth, values)) in zip(axes[0], panels.items(), strict=True):
        values = values.numpy()  # (R,)
        right, wrong = LOOKS["half"].colour, "#DDDDDD"
        axis.hist(values[values > 0], bins, color=right, edgecolor="white", lw=0.5)
        axis.hist(values[values <= 0], bins, color=wrong, edgecolor=FAINT, hatch="///", lw=0.5)
        axis.axvline(truth, color=INK, ls="--", lw=2)
        axis.set_title(
            f"{title}\ntruth {truth:+.1f}, wrong sign {(values <= 0).mean():.0%}", fontsize=13
        )
        axis.set(xlabel="measured difference, points", yticks=[])
        axis.grid(axis="y", visible=False)
    axes[0, 0].set_ylabel("tests")
    return figure


def draw_selection(
    steps: Sequence[int], lines: Mapping[str, Sequence[float]], chosen: Mapping[str, int]
) -> Figure:
    """Two scores of the checkpoints of a run and, above, for each rule the step of the checkpoint that it picks."""
    figure, (above, axis) = plt.subplots(
        2, 1, figsize=(9.5, 5.4), sharex=True, height_ratios=[1, 2.6]
    )
    looks = ((FAINT, "s", "--"), (INK, "o", "-"))
    for (label, values), (colour, marker, line) in zip(lines.items(), looks, strict=True):
        axis.plot(
            steps,
            [100 * value for value in values],
            color=colour,
            marker=marker,
            ls=line,
            label=label,
        )
    for row, (rule, step) in enumerate(chosen.items()):
        oracle = "oracle" in rule
        above.plot(
            step,
            row,
            LOOKS["oracle"].marker if oracle else "o",
            color=INK,
            ms=13,
            mec=INK,
            mfc="white" if oracle else INK,
        )
    above.set_yticks(range(len(chosen)), list(chosen))
    above.set_ylim(len(chosen) - 0.4, -0.6)
    above.tick_params(axis="x", length=0)
    axis.set(xlabel="iteration", ylabel="mAP (%)", xticks=steps)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_published(rows: Sequence[tuple[str, float]], ours: float | None) -> Figure:
    """Printed rates in percent as grey dots, one line each, and ours below them, or that it was not run."""
    paper, own = LOOKS["paper"], LOOKS["metabin"]
    figure, axis = plt.subplots(figsize=(9.5, 0.42 * len(rows) + 1.9))
    for y, (_, value) in enumerate(rows):
        axis.plot([0, value], [y, y], color=paper.colour, lw=2)
        axis.plot(value, y, paper.marker, color=paper.colour, mec=INK, ms=11)
        axis.annotate(f"{value:.1f}", (value, y), (9, 0), textcoords="offset points", va="center")
    y = len(rows)
    if ours is None:
        axis.text(1, y, "not run", va="center", style="italic")
    else:
        axis.plot(ours, y, own.marker, color=own.colour, ms=17)
        axis.annotate(
            f"{ours:.1f}",
            (ours, y),
            (11, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
        )
    axis.set_yticks(range(len(rows) + 1), [*(name for name, _ in rows), "this repository"])
    axis.set(xlabel="average Rank-1 (%)", xlim=(0, 100), ylim=(len(rows) + 0.6, -0.6))
    axis.grid(axis="y", visible=False)
    return figure


def draw_teaser() -> Figure:
    """figures/splits.svg: one split's half-widths at the paper's own Rank-1 against the steps of its loss ablation."""
    rows = {t: next(r for r in published("original", t) if r.method == "MetaBIN") for t in DESIGNS}
    targets = {SETS[t].title: (row.rank1 / 100, DESIGNS[t].tested) for t, row in rows.items()}
    return draw_half_widths(targets, ablation_steps())


def ablation_steps() -> list[float]:
    """Differences between the rows of `LOSS_ABLATION` that follow each other, in points."""
    rates = list(LOSS_ABLATION.values())
    return [b - a for a, b in zip(rates, rates[1:], strict=False)]
