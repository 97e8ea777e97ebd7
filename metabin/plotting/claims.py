"""Paired differences between rows of an experiment, beside the paper's (lesson 10)."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt

from metabin.plotting.marks import dot, draw_intervals, name_rows
from metabin.plotting.panels import row_of_panels, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS
from metabin.plotting.tables import look_of

DIFFERENCE = {"color": INK, "marker": "o", "ms": 11}
PAPER = {"color": "#8A8A8A", "mec": "none", "marker": LOOKS["paper"].marker, "ms": 9, "ls": ""}


def draw_differences(rows: Mapping[str, Sequence[float]], label: str) -> plt.Figure:
    """Differences with their intervals, (mean, low, high) as fractions, in points.

    A dot is open where its interval holds 0.
    """
    figure, axis = plt.subplots(figsize=(8.5, 0.55 * len(rows) + 1.5))
    _draw_rows(axis, rows)
    axis.set_xlabel(label)
    return figure


def draw_differences_by_test(differences: Mapping[str, Sequence[float]]) -> plt.Figure:
    """Differences of Rank-1 in the tests of finished trainings, a panel each, in points.

    Their names end with the test: "IN − BN, far". A dot is open where its interval holds 0.
    """
    rows = list(dict.fromkeys(name.rpartition(", ")[0] for name in differences))
    tests = {"on unseen streets": "unseen", "on far streets": "far", "at home": "home"}
    figure, axes = titled_panels(tests, (4.33, 0.5 * len(rows) + 1.8), sharey=False)
    for axis, test in axes:
        _draw_rows(axis, {row: differences[f"{row}, {test}"] for row in rows})
        axis.tick_params(axis="y", labelleft=axis is axes[0][0], labelsize=12)
    figure.supxlabel("difference of Rank-1, points, with 95 % interval", fontsize=13)
    return figure


def _draw_rows(axis: plt.Axes, rows: Mapping[str, Sequence[float]]) -> None:
    """A named row for each difference with its interval, in points, and a line at 0."""
    axis.axvline(0, color=FAINT, lw=1.5, zorder=0)
    intervals = 100 * np.array(list(rows.values()))  # (rows, 3)
    draw_intervals(axis, range(len(rows)), intervals, DIFFERENCE, across=True, open_at_zero=True)
    name_rows(axis, rows)


def draw_claims(report: Mapping, metric: str = "rank1") -> plt.Figure:
    """A line for each claim of a report: the paired difference over worlds, in points.

    It has its 95 % interval and is open where that holds 0. The paper's printed difference is a
    grey mark, where it printed both rows. metric: "rank1" or "mAP".
    """
    claims, printed = report["claims"], _printed(report, metric)
    figure, axis = plt.subplots(figsize=(11, 1.9 + 0.62 * len(claims)))
    _draw_rows(axis, {_label(claim): claim[metric] for claim in claims})
    for y, gap in printed.items():
        axis.plot(gap, y + 0.28, **PAPER)
    axis.tick_params(axis="y", labelsize=12)
    name = {"rank1": "Rank-1"}.get(metric, metric)
    axis.set_xlabel(f"difference of {name} on streets, points, with 95 % interval")
    if printed:
        figure.legend(handles=[dot("the paper's, on real data", **PAPER)], loc="outside lower left")
    figure.suptitle(textwrap.fill(report["title"], 70))
    return figure


def _printed(report: Mapping, metric: str) -> dict[int, float]:
    """The paper's difference in points by a claim's number, where it printed both rows."""
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
) -> plt.Figure:
    """Two rows over the same worlds: left each with its interval, right the paired difference.

    A line on the left is a world. rates: two names, each with one rate per world; intervals:
    (mean, low, high) of the two and of the difference.
    """
    figure, (both, gap) = row_of_panels(2, (5.5, 4.6), sharey=False, width_ratios=(2, 1))
    worlds, percent = 100 * np.array(list(rates.values())), 100 * np.asarray(intervals)
    both.plot((0.12, 0.88), worlds, color=FAINT, lw=1.5)
    for i, method in enumerate(methods):
        look = look_of(method)
        both.plot([0.12 + 0.76 * i] * worlds.shape[1], worlds[i], "o", color=look.colour)
        style = look.marks | {"ms": 13, "mec": "white"}
        draw_intervals(both, [1.24 * i - 0.12], percent[i], style)
    gap.axhline(0, color=FAINT, lw=1.5)
    gap.plot([0] * worlds.shape[1], worlds[1] - worlds[0], "o", color=FAINT)
    draw_intervals(gap, [0.2], percent[2], DIFFERENCE)
    both.set_xticks((0, 1), list(rates))
    both.set(xlim=(-0.4, 1.4), ylabel="Rank-1 (%)", title="each by itself")
    gap.set(xlim=(-0.4, 0.6), ylabel="points", title="difference in each world", xticks=())
    return figure


def draw_needed(
    spreads: Mapping[str, float], wanted: Sequence[float], needed: Mapping[str, Sequence[int]]
) -> plt.Figure:
    """Worlds needed over the difference that is to be seen, in points.

    A line for each spread of paired differences, in points.
    """
    figure, axis = plt.subplots(figsize=(9, 4.6))
    for (name, spread), look in zip(spreads.items(), ("o-", "s--", "D-.", "^:"), strict=False):
        axis.plot(wanted, needed[name], look, color=INK, label=f"{name}: spread {spread:.1f}")
    axis.set(xscale="log", xlabel="difference to be seen (points)")
    axis.set(yscale="log", ylabel="worlds needed")
    axis.set_xticks(wanted, [f"{x:g}" for x in wanted])
    axis.minorticks_off()
    axis.axhline(5, color=FAINT, lw=1.5)
    axis.text(wanted[0], 5.4, "five worlds", color="#555555", fontsize=12)
    axis.legend(fontsize=12)
    return figure


def draw_luck(p_values: Sequence[float]) -> plt.Figure:
    """Sorted p-values of claims, where pure luck would put them, and Holm's line.

    Each must stay below that line to count.
    """
    figure, axis = plt.subplots(figsize=(9, 4.6))
    total = len(p_values)
    ranks = np.arange(1, total + 1)
    luck, holm = ranks / (total + 1), 0.05 / (total - ranks + 1)
    axis.plot(ranks, luck, ":", color=FAINT, lw=2, label="pure luck, on average")
    axis.plot(ranks, holm, "--", color=INK, lw=1.5, label="Holm's line")
    axis.plot(ranks, p_values, "o", color=INK, label="the claims")
    axis.axhline(0.05, color=FAINT, lw=1)
    axis.set(yscale="log", xlabel="claims, from the smallest p on", ylabel="p")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure
