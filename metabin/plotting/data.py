"""The figures of lesson 11: what metrics count, how far chance moves a rate, who printed what."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib import pyplot as plt
from torch import Tensor

from metabin.datasets import SETS
from metabin.datasets.published import published
from metabin.datasets.splits import DESIGNS
from metabin.evaluate.certainty import LOSS_ABLATION, half_width
from metabin.plotting.marks import BOX, name_rows, side_by_side, write_beside
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS

TARGETS = ("o", "s", "^", "D")  # a marker for each of the four small sets


def draw_two_areas(right: Sequence[bool]) -> plt.Figure:
    """Precision over recall of one rank list, and the area of each average precision."""
    right = np.asarray(right, dtype=float)
    hits, ranks = right.cumsum(), np.arange(1, len(right) + 1)
    recall, precision = np.r_[0, hits / hits[-1]], np.r_[1, hits / ranks]
    figure, axes = row_of_panels(2, (5.5, 4.2))
    left_ends = {"step": precision[1:], "trapezoid": precision[:-1]}
    fill = {"color": LOOKS["half"].colour, "alpha": 0.6, "lw": 0}
    for axis, (name, left) in zip(axes, left_ends.items(), strict=True):
        width = np.diff(recall)
        for i in np.flatnonzero(width):
            axis.fill_between(recall[i : i + 2], (left[i], precision[i + 1]), **fill)
        axis.plot(recall, precision, "o-", color=INK, ms=7, lw=1.2)
        for rank, point in enumerate(zip(recall[1:], precision[1:], strict=True), 1):
            write_beside(axis, str(rank), point, (7, 4), fontsize=12)
        area = (width * (left + precision[1:]) / 2).sum()
        axis.set(xlabel="recall", xlim=(-0.02, 1.1), ylim=(0, 1.12), title=f"{name}: {area:.3f}")
    axes[0].set_ylabel("precision")
    return figure


def draw_rules(rates: Mapping[str, Mapping[str, float]]) -> plt.Figure:
    """Rank-1 under several rules: a group of bars for each rule, a bar for each method."""
    figure, axis = plt.subplots(figsize=(9.5, 4.4))
    methods = list(next(iter(rates.values())))
    for method, shift in zip(methods, side_by_side(len(methods), 0.36), strict=True):
        look = LOOKS[method]
        percent = [100 * row[method] for row in rates.values()]
        x = np.arange(len(rates)) + shift
        bars = axis.bar(x, percent, 0.33, label=look.name, **look.bars)
        axis.bar_label(bars, fmt="%.0f", padding=3)
    axis.set_xticks(range(len(rates)), list(rates))
    axis.set(ylabel="Rank-1 (%)", ylim=(0, 112), yticks=range(0, 101, 25))
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside upper right", ncols=len(methods))
    return figure


def draw_repeated_tests(panels: Mapping[str, tuple[float, Tensor]]) -> plt.Figure:
    """What repeated tests would show where the truth is known, in points.

    panels: (true difference, differences (R,)) by title. Tests that put the wrong network ahead
    are hatched, and their share is written.
    """
    labels = {"xlabel": "measured difference, points", "ylabel": "tests"}
    figure, axes = titled_panels(panels, (4.4, 3.9), yticks=[], **labels)
    reach = max(values.abs().max().item() for _, values in panels.values())
    bins = np.linspace(-reach, reach, 41)  # 0 is an edge
    right = {"color": LOOKS["half"].colour, "edgecolor": "white"}
    wrong = {"color": "#DDDDDD", "edgecolor": FAINT, "hatch": "///"}
    for (axis, (truth, values)), title in zip(axes, panels, strict=True):
        values = values.numpy()  # (R,)
        for some, look in ((values > 0, right), (values <= 0, wrong)):
            sns.histplot(values[some], bins=bins, ax=axis, alpha=1, lw=0.5, **look)
        axis.axvline(truth, color=INK, ls="--", lw=2)
        text = f"truth {truth:+.1f}, wrong sign {(values <= 0).mean():.0%}"
        axis.set_title(f"{title}\n{text}", fontsize=13)
        axis.grid(axis="y", visible=False)
        axis.label_outer()
    return figure


def draw_selection(
    steps: Sequence[int], lines: Mapping[str, Sequence[float]], chosen: Mapping[str, int]
) -> plt.Figure:
    """Two scores of a run's checkpoints and, above, the step that each rule of choice picks."""
    size, heights = (9.5, 5.4), [1, 2.6]
    figure, (above, axis) = plt.subplots(2, 1, figsize=size, sharex=True, height_ratios=heights)
    for (label, values), look in zip(lines.items(), ("s--", "o-"), strict=True):
        colour = FAINT if look == "s--" else INK
        axis.plot(steps, 100 * np.asarray(values), look, color=colour, label=label)
    for row, (rule, step) in enumerate(chosen.items()):
        marker, face = (LOOKS["oracle"].marker, "white") if "oracle" in rule else ("o", INK)
        above.plot(step, row, marker, ms=13, mec=INK, mfc=face)
    name_rows(above, chosen)
    above.tick_params(axis="x", length=0)
    axis.set(xlabel="iteration", ylabel="mAP (%)", xticks=steps)
    legend_below(figure, axis.lines)
    return figure


def draw_published(rows: Sequence[tuple[str, float]], ours: float | None) -> plt.Figure:
    """Printed rates in percent, a grey mark a line, and ours below them, or that it was not run."""
    paper, metabin = LOOKS["paper"], LOOKS["metabin"]
    names, values = zip(*rows, strict=True)
    ys, last = range(len(rows)), len(rows)
    figure, axis = plt.subplots(figsize=(9.5, 0.42 * last + 1.9))
    axis.hlines(ys, 0, values, color=paper.colour, lw=2)
    axis.plot(values, ys, paper.marker, color=paper.colour, mec=INK, ms=11)
    for y, value in zip(ys, values, strict=True):
        write_beside(axis, f"{value:.1f}", (value, y), (9, 0), va="center")
    if ours is None:
        axis.text(1, last, "not run", va="center", style="italic")
    else:
        axis.plot(ours, last, metabin.marker, color=metabin.colour, ms=17)
        write_beside(axis, f"{ours:.1f}", (ours, last), (11, 0), va="center", fontweight="bold")
    name_rows(axis, [*names, "this repository"])
    axis.set(xlabel="average Rank-1 (%)", xlim=(0, 100))
    return figure


def draw_teaser() -> plt.Figure:
    """figures/splits.svg: half of the 95 % interval of Rank-1 on one split, by its queries.

    Marks are the paper's rates on the four small sets. The band holds the steps of its ablation,
    which one would like to see.
    """
    figure, axis = plt.subplots(figsize=(11, 4.8))
    queries = np.geomspace(40, 3400, 200)
    for rate, line in ((0.5, "-"), (0.7, "--"), (0.9, ":")):
        widths = [100 * half_width(rate, n) for n in queries]
        style = {"color": FAINT, "ls": line, "lw": 2}
        axis.plot(queries, widths, **style, label=f"Rank-1 of {100 * rate:.0f} %")
    for (target, design), marker in zip(DESIGNS.items(), TARGETS, strict=True):
        row = next(row for row in published("original", target) if row.method == "MetaBIN")
        width = 100 * half_width(row.rank1 / 100, design.tested)
        label = f"{SETS[target].title}, {design.tested} queries: ±{width:.1f}"
        axis.plot(design.tested, width, marker, color=INK, ms=12, label=label)
    steps = np.diff(list(LOSS_ABLATION.values()))
    low, high = steps.min(), steps.max()
    axis.axhspan(low, high, facecolor=LOOKS["metabin"].colour, alpha=0.3, hatch="//", lw=0)
    text = f"steps between the rows of Table 3: {low:.1f} to {high:.1f} points"
    axis.text(44, (low * high) ** 0.5, text, va="center", fontsize=13, bbox=BOX)
    axis.set(xscale="log", xlabel="queries", xlim=(40, 3400))
    axis.set(yscale="log", ylabel="± points of Rank-1", yticks=[0.1, 0.3, 1, 3, 10])
    axis.set_xticks([50, 100, 200, 500, 1000, 3000])
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    figure.legend(loc="outside right upper")
    return figure
