"""The figures of lesson 11: what metrics count, how far chance moves a rate, who printed what."""

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
from metabin.plotting.marks import draw_lines_by_name, write_beside
from metabin.plotting.panels import row_of_panels
from metabin.plotting.style import FAINT, INK, LOOKS
from metabin.plotting.worlds import draw_rankings

TARGETS = ("o", "s", "^", "D")  # a marker for each of the four small sets


class RankList(NamedTuple):
    """A query and the best of its gallery: pictures, right or not, and the camera of each."""

    query: Tensor  # (3, H, W)
    images: Tensor  # (K, 3, H, W)
    right: Tensor  # (K,)
    query_camera: int
    cameras: Sequence[int]  # K


def draw_camera_lists(lists: Mapping[str, RankList]) -> Figure:
    """`plotting.draw_rankings` with the camera of each picture below it, counted from 1."""
    rows = {label: (ranked.query, ranked.images, ranked.right) for label, ranked in lists.items()}
    figure = draw_rankings(rows)
    axes = iter(figure.axes)  # row by row, the query first
    for ranked in lists.values():
        for camera in (ranked.query_camera, *ranked.cameras):
            next(axes).set_xlabel(f"cam {camera + 1}", fontsize=11, labelpad=4)
    return figure


def draw_two_areas(right: Sequence[bool]) -> Figure:
    """Precision over recall of one rank list, and the area of each average precision."""
    right = np.asarray(right, dtype=float)
    hits, ranks = right.cumsum(), np.arange(1, len(right) + 1)
    recall, precision = np.r_[0, hits / hits[-1]], np.r_[1, hits / ranks]
    figure, axes = row_of_panels(2, (5.5, 4.2))
    left_ends = {"step": precision[1:], "trapezoid": precision[:-1]}
    for axis, (name, left) in zip(axes, left_ends.items(), strict=True):
        width = np.diff(recall)
        for i in np.flatnonzero(width):
            ends = [left[i], precision[i + 1]]
            fill = {"color": LOOKS["half"].colour, "alpha": 0.6, "lw": 0}
            axis.fill_between(recall[i : i + 2], ends, **fill)
        axis.plot(recall, precision, "o-", color=INK, ms=7, lw=1.2)
        for rank, point in enumerate(zip(recall[1:], precision[1:], strict=True), 1):
            write_beside(axis, str(rank), point, (7, 4), fontsize=12)
        area = (width * (left + precision[1:]) / 2).sum()
        axis.set(xlabel="recall", xlim=(-0.02, 1.1), ylim=(0, 1.12), title=f"{name}: {area:.3f}")
    axes[0].set_ylabel("precision")
    return figure


def draw_rules(rates: Mapping[str, Mapping[str, float]]) -> Figure:
    """Rank-1 under several rules: a group of bars for each rule, a bar for each method."""
    figure, axis = plt.subplots(figsize=(9.5, 4.4))
    methods = list(next(iter(rates.values())))
    for i, method in enumerate(methods):
        look = LOOKS[method]
        x = np.arange(len(rates)) + 0.36 * (i - (len(methods) - 1) / 2)
        percent = [100 * row[method] for row in rates.values()]
        axis.bar(x, percent, 0.33, color=look.colour, hatch=look.hatch, label=look.name)
        for point in zip(x, percent, strict=True):
            write_beside(axis, f"{point[1]:.0f}", point, (0, 3), ha="center")
    axis.set_xticks(range(len(rates)), list(rates))
    axis.set(ylabel="Rank-1 (%)", ylim=(0, 112), yticks=range(0, 101, 25))
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper right", ncols=len(methods))
    return figure


def draw_half_widths(
    targets: Mapping[str, tuple[float, int]], differences: Sequence[float]
) -> Figure:
    """Half of the 95 % interval of Rank-1 on one split, by the number of queries.

    targets: (rate, queries) by name. The band holds `differences`, in points, that somebody wants
    to see.
    """
    figure, axis = plt.subplots(figsize=(11, 4.8))
    queries = np.geomspace(40, 3400, 200)
    lines, looks = {}, []
    for rate, line in ((0.5, "-"), (0.7, "--"), (0.9, ":")):
        lines[f"Rank-1 of {100 * rate:.0f} %"] = [100 * half_width(rate, n) for n in queries]
        looks.append((FAINT, line, 2))
    draw_lines_by_name(axis, queries, lines, looks)
    for (name, (rate, count)), marker in zip(targets.items(), TARGETS, strict=False):
        y = 100 * half_width(rate, count)
        label = f"{name}, {count} queries: ±{y:.1f}"
        axis.plot(count, y, marker, color=INK, ms=12, label=label)
    low, high = min(differences), max(differences)
    axis.axhspan(low, high, facecolor=LOOKS["metabin"].colour, alpha=0.3, hatch="//", lw=0)
    text = f"steps between the rows of Table 3: {low:.1f} to {high:.1f} points"
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    axis.text(44, (low * high) ** 0.5, text, va="center", fontsize=13, bbox=box)
    axis.set(xscale="log", xlabel="queries", xlim=(40, 3400))
    axis.set(yscale="log", ylabel="± points of Rank-1")
    axis.set_xticks([50, 100, 200, 500, 1000, 3000], ["50", "100", "200", "500", "1,000", "3,000"])
    axis.set_yticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    axis.minorticks_off()
    figure.legend(loc="outside right upper")
    return figure


def draw_repeated_tests(panels: Mapping[str, tuple[float, Tensor]]) -> Figure:
    """What repeated tests would show where the truth is known, in points.

    panels: (true difference, differences (R,)) by title. Tests that put the wrong network ahead
    are hatched, and their share is written.
    """
    figure, axes = row_of_panels(len(panels), (4.4, 3.9))
    reach = max(values.abs().max().item() for _, values in panels.values())
    bins = np.linspace(-reach, reach, 41)  # 0 is an edge
    right = {"color": LOOKS["half"].colour, "edgecolor": "white"}
    wrong = {"color": "#DDDDDD", "edgecolor": FAINT, "hatch": "///"}
    for axis, (title, (truth, values)) in zip(axes, panels.items(), strict=True):
        values = values.numpy()  # (R,)
        axis.hist(values[values > 0], bins, lw=0.5, **right)
        axis.hist(values[values <= 0], bins, lw=0.5, **wrong)
        axis.axvline(truth, color=INK, ls="--", lw=2)
        text = f"truth {truth:+.1f}, wrong sign {(values <= 0).mean():.0%}"
        axis.set_title(f"{title}\n{text}", fontsize=13)
        axis.set(xlabel="measured difference, points", yticks=[])
        axis.grid(axis="y", visible=False)
    axes[0].set_ylabel("tests")
    return figure


def draw_selection(
    steps: Sequence[int], lines: Mapping[str, Sequence[float]], chosen: Mapping[str, int]
) -> Figure:
    """Two scores of a run's checkpoints and, above, the step that each rule of choice picks."""
    size, heights = (9.5, 5.4), [1, 2.6]
    figure, (above, axis) = plt.subplots(2, 1, figsize=size, sharex=True, height_ratios=heights)
    looks = ((FAINT, "s", "--"), (INK, "o", "-"))
    for (label, values), (colour, marker, line) in zip(lines.items(), looks, strict=True):
        percent = [100 * value for value in values]
        axis.plot(steps, percent, color=colour, marker=marker, ls=line, label=label)
    for row, (rule, step) in enumerate(chosen.items()):
        marker, face = (LOOKS["oracle"].marker, "white") if "oracle" in rule else ("o", INK)
        above.plot(step, row, marker, color=INK, ms=13, mec=INK, mfc=face)
    above.set_yticks(range(len(chosen)), list(chosen))
    above.set_ylim(len(chosen) - 0.4, -0.6)
    above.tick_params(axis="x", length=0)
    axis.set(xlabel="iteration", ylabel="mAP (%)", xticks=steps)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_published(rows: Sequence[tuple[str, float]], ours: float | None) -> Figure:
    """Printed rates in percent, a grey dot a line, and ours below them, or that it was not run."""
    paper, metabin = LOOKS["paper"], LOOKS["metabin"]
    figure, axis = plt.subplots(figsize=(9.5, 0.42 * len(rows) + 1.9))
    last = len(rows)
    for y, (_, value) in enumerate(rows):
        axis.plot([0, value], [y, y], color=paper.colour, lw=2)
        axis.plot(value, y, paper.marker, color=paper.colour, mec=INK, ms=11)
        write_beside(axis, f"{value:.1f}", (value, y), (9, 0), va="center")
    if ours is None:
        axis.text(1, last, "not run", va="center", style="italic")
    else:
        axis.plot(ours, last, metabin.marker, color=metabin.colour, ms=17)
        style = {"va": "center", "fontweight": "bold"}
        write_beside(axis, f"{ours:.1f}", (ours, last), (11, 0), **style)
    axis.set_yticks(range(last + 1), [*(name for name, _ in rows), "this repository"])
    axis.set(xlabel="average Rank-1 (%)", xlim=(0, 100), ylim=(last + 0.6, -0.6))
    axis.grid(axis="y", visible=False)
    return figure


def draw_teaser() -> Figure:
    """figures/splits.svg: half-widths at the paper's Rank-1 against the steps of its ablation."""
    targets = {}
    for target, design in DESIGNS.items():
        row = next(row for row in published("original", target) if row.method == "MetaBIN")
        targets[SETS[target].title] = row.rank1 / 100, design.tested
    return draw_half_widths(targets, ablation_steps())


def ablation_steps() -> list[float]:
    """Differences between the rows of `LOSS_ABLATION` that follow each other, in points."""
    rates = list(LOSS_ABLATION.values())
    return [b - a for a, b in zip(rates, rates[1:], strict=False)]
