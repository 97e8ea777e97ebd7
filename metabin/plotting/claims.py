"""Paired differences between rows of an experiment, beside the paper's (lesson 10)."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metabin.plotting.style import FAINT, INK, LOOKS
from metabin.plotting.tables import look_of

GREY, PAPER = "#8A8A8A", LOOKS["paper"]


def draw_claims(report: Mapping, metric: str = "rank1") -> Figure:
    """A line for each claim of a report: the paired difference over worlds, in points.

    It has its 95 % interval and is filled where that excludes 0. The paper's printed difference is
    a grey mark, where it printed both rows. What is far beyond the others is written at the edge,
    so that they can be seen. metric: "rank1" or "mAP".
    """
    claims, printed = report["claims"], _printed(report, metric)
    figure, axis = plt.subplots(figsize=(11, 1.9 + 0.62 * len(claims)))
    axis.axvline(0, color=FAINT, lw=1.5, zorder=0)
    intervals = [100 * np.asarray(claim[metric]) for claim in claims]  # middle, low, high
    edge = 3 * max(median(max(map(abs, interval)) for interval in intervals), 1.0)
    for y, interval in enumerate(intervals):
        if min(interval) > edge or max(interval) < -edge:
            _write_at_edge(axis, y, interval, edge)
        else:
            _draw_interval(axis, y, interval)
    for y, gap in printed.items():
        axis.plot(gap, y + 0.28, PAPER.marker, ms=9, color=GREY, mec="none", zorder=3)
    axis.set_yticks(range(len(claims)), [_label(claim) for claim in claims], fontsize=12)
    name = {"rank1": "Rank-1"}.get(metric, metric)
    axis.set(
        xlabel=f"difference of {name} on streets, points, with 95 % interval",
        ylim=(len(claims) - 0.4, -0.6),
    )
    axis.grid(axis="y", visible=False)
    if printed:
        style = {"color": GREY, "mec": "none", "ms": 9, "ls": ""}
        axis.plot([], [], PAPER.marker, **style, label="the paper's, on real data")
        figure.legend(loc="outside lower left")
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def _draw_interval(axis: Axes, y: float, interval: Sequence[float]) -> None:
    middle, low, high = interval
    face = INK if low > 0 or high < 0 else "white"
    axis.plot([low, high], [y, y], color=INK, lw=3, solid_capstyle="butt")
    axis.plot(middle, y, "o", ms=11, mfc=face, mec=INK, mew=2)


def _write_at_edge(axis: Axes, y: float, interval: Sequence[float], edge: float) -> None:
    middle, low, high = interval
    side, marker, align = (1, ">", "right") if middle > 0 else (-1, "<", "left")
    axis.plot(side * edge, y, marker, ms=11, color=INK)
    words = f"{middle:+.1f} [{low:+.1f}, {high:+.1f}]"
    style = {"textcoords": "offset points", "ha": align, "va": "center"}
    axis.annotate(words, (side * edge, y), (-10 * side, 0), **style)


def _printed(report: Mapping, metric: str) -> dict[int, float]:
    """The paper's difference in points by a claim's place, where it printed both rows."""
    rates = {row["name"]: row["paper"] for row in report["rows"]}
    column = ("rank1", "mAP").index(metric)
    differences = {}
    for y, claim in enumerate(report["claims"]):
        better, worse = rates[claim["better"]], rates[claim["worse"]]
        if better and worse:
            differences[y] = better[column] - worse[column]
    return differences


def _label(claim: Mapping) -> str:
    """Both rows' names, one below the other; a setting that they share is said once."""
    better, worse = claim["better"], claim["worse"]
    name, _, setting = better.partition(": ")
    if setting == worse.partition(": ")[2]:
        better = name
    return f"{better}\n− {worse}"


def draw_pairing(
    rates: Mapping[str, Sequence[float]],
    intervals: Sequence[Sequence[float]],
    methods: Sequence[str],
) -> Figure:
    """Two rows over the same worlds: left each with its interval, right the paired difference.

    A line on the left is a world. rates: two names, each with one rate per world; intervals:
    (mean, low, high) of the two and of the difference.
    """
    figure, (both, gap) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=(2, 1))
    first, second = (100 * np.asarray(row) for row in rates.values())
    for pair in zip(first, second, strict=True):
        both.plot([0.12, 0.88], pair, color=FAINT, lw=1.5)
    for x, row, method, interval in zip((0, 1), (first, second), methods, intervals, strict=False):
        look, (middle, low, high) = look_of(method), (100 * value for value in interval)
        inner = 0.12 + 0.76 * x
        both.plot([inner] * len(row), row, "o", ms=7, color=look.colour, mec="white")
        outer = -0.12 + 1.24 * x
        both.plot([outer, outer], [low, high], color=look.colour, lw=4, solid_capstyle="butt")
        both.plot(outer, middle, look.marker, ms=13, color=look.colour, mec="white")
    middle, low, high = (100 * value for value in intervals[2])
    gap.axhline(0, color=FAINT, lw=1.5)
    differences = [b - a for a, b in zip(first, second, strict=True)]
    gap.plot([0] * len(first), differences, "o", ms=7, color=FAINT, mec="white")
    gap.plot([0.2, 0.2], [low, high], color=INK, lw=4, solid_capstyle="butt")
    gap.plot(0.2, middle, "o", ms=11, color=INK)
    both.set_xticks((0, 1), list(rates))
    both.set(xlim=(-0.4, 1.4), ylabel="Rank-1 (%)", title="each by itself")
    gap.set(xlim=(-0.4, 0.6), ylabel="points", title="difference in each world")
    gap.set_xticks(())
    return figure


def draw_needed(
    spreads: Mapping[str, float], wanted: Sequence[float], needed: Mapping[str, Sequence[int]]
) -> Figure:
    """Worlds needed over the difference that is to be seen, in points.

    A line for each spread of paired differences, in points.
    """
    figure, axis = plt.subplots(figsize=(9, 4.6))
    lines = ("-", "--", "-.", ":")
    for i, (name, spread) in enumerate(spreads.items()):
        style = {"marker": "osD^"[i % 4], "color": INK, "label": f"{name}: spread {spread:.1f}"}
        axis.plot(wanted, needed[name], lines[i % 4], **style)
    axis.set(xscale="log", yscale="log")
    axis.set(xlabel="difference to be seen (points)", ylabel="worlds needed")
    axis.set_xticks(wanted, [f"{x:g}" for x in wanted])
    axis.minorticks_off()
    axis.axhline(5, color=FAINT, lw=1.5)
    axis.text(wanted[0], 5.4, "five worlds", color="#555555", fontsize=12)
    axis.legend(fontsize=12)
    return figure


def draw_luck(p_values: Sequence[float]) -> Figure:
    """Sorted p-values of claims, where pure luck would put them, and Holm's line.

    Each must stay below that line to count.
    """
    ranks, total = range(1, len(p_values) + 1), len(p_values)
    figure, axis = plt.subplots(figsize=(9, 4.6))
    luck = [rank / (total + 1) for rank in ranks]
    holm = [0.05 / (total - rank + 1) for rank in ranks]
    axis.plot(ranks, luck, ":", color=FAINT, lw=2, label="pure luck, on average")
    axis.plot(ranks, holm, "--", color=INK, lw=1.5, label="Holm's line")
    axis.plot(ranks, p_values, "o", ms=8, color=INK, mec="white", label="the claims")
    axis.axhline(0.05, color=FAINT, lw=1)
    axis.set(yscale="log", xlabel="claims, from the smallest p on", ylabel="p")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure
