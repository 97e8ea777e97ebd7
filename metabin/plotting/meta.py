"""How the meta-step is drawn: on the toy's two curves, phase by phase, and over many steps."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from metabin.analysis.toy import ToyStep, toy_step, toy_walk
from metabin.analysis.trace import GROUPS, Phase
from metabin.plotting.marks import draw_lines_by_name, write_beside
from metabin.plotting.style import FAINT, INK, LOOKS, LOSSES

_OTHER = {"left": "right", "right": "left"}
TRAIN, TEST = LOSSES["scatter + shuffle"][0], LOSSES["triplet"][0]  # meta-train and meta-test
# Colour, line, width.
LINES = (INK, "-", 3.2), (TEST, "--", 2.6), ("#999933", "-.", 2.6), ("#332288", ":", 3.0)


def _draw_step(axis: Axes, step: ToyStep, low: float = 0.0, high: float = 1.0) -> None:
    """Both losses over rho, and three moves.

    The inner move (1), the slope of L_mte at rho' (2), and that slope followed from rho (3).
    """
    low, high = min(low, step.virtual - 0.1), max(high, step.virtual + 0.1)
    at = torch.linspace(low, high, 101, dtype=torch.float64)
    for values, colour, line, name in zip(
        step.losses(at), (TRAIN, TEST), ("--", "-"), ("$L_{mtr}$", "$L_{mte}$"), strict=True
    ):
        axis.plot(at, values, color=colour, ls=line, label=name)
    ends = torch.tensor([step.rho, step.virtual], dtype=torch.float64)
    (train, _), (_, test) = step.losses(ends)
    top = max(max(values) for values in step.losses(at))
    ends = (
        (step.rho, train, step.slope_train, TRAIN, "o"),
        (step.virtual, test, step.slope_test, TEST, "D"),
    )
    for x, y, slope, colour, marker in ends:
        reach = min(0.13, 0.22 * top / max(abs(slope), 1e-9))
        axis.plot([x - reach, x + reach], [y - reach * slope, y + reach * slope], color=INK, lw=2)
        axis.plot(x, y, marker, ms=11, color=colour, zorder=4)
    rows = [-0.1 * top, -0.22 * top]
    for number, y, end, name, colour in zip(
        "13", rows, (step.virtual, step.after), ("ρ′", "new ρ"), (TRAIN, TEST), strict=True
    ):
        if abs(end - step.rho) < 1e-9:
            continue
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 3, "mutation_scale": 20}
        arrow |= {"shrinkA": 0, "shrinkB": 0}
        axis.annotate("", (end, y), (step.rho, y), arrowprops=arrow)
        sides = (step.rho, number, "left", 6), (end, name, "right", -6)
        for x, text, side, shift in (
            sides if end < step.rho else ((x, t, _OTHER[side], -d) for x, t, side, d in sides)
        ):
            weight = "bold" if text == number else "normal"
            style = {"va": "center", "ha": side, "fontweight": weight}
            write_beside(axis, text, (x, y), (shift, 0), **style)
    crowded = abs(step.virtual - step.rho) <= 0.05  # under the other curve's dot
    shift = (0, -22) if crowded else (0, 12)
    write_beside(axis, "2", (step.virtual, test), shift, ha="center", fontweight="bold")
    for x in (step.rho, step.virtual, step.after):
        axis.axvline(x, color=FAINT, lw=1, ls=":", zorder=0)
    start = "ρ" if abs(step.virtual - step.rho) > 1e-9 else "ρ = ρ′"
    axis.annotate(start, (step.rho, -0.29 * top), ha="center", va="top", annotation_clip=False)
    axis.set(xlim=(low, high), xlabel="ρ   (0: IN, 1: BN)")
    axis.set(ylim=(-0.42 * top, 1.05 * top), yticks=[], ylabel="loss")
    axis.grid(visible=False)


def draw_steps(panels: Mapping[str, ToyStep]) -> Figure:
    """A meta-step of the toy in each panel: both curves, and three numbered moves."""
    figure, axes = plt.subplots(
        1, len(panels), figsize=(max(7.5, 5.2 * len(panels)), 4.6), squeeze=False
    )
    for axis, (title, step) in zip(axes[0], panels.items(), strict=True):
        _draw_step(axis, step)
        axis.set_title(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _draw_walks(
    axis: Axes, walks: Mapping[str, Sequence[float]], marks: Mapping[str, float]
) -> None:
    draw_lines_by_name(axis, None, walks, LINES)
    last = max(map(len, walks.values())) - 1
    for name, value in marks.items():
        axis.axhline(value, color=FAINT, lw=1.2, ls=":", zorder=0)
        write_beside(axis, name, (last, value), (0, 4), ha="right", color="#666666")
    axis.set(xlabel="meta-steps", ylabel="ρ", xlim=(0, last), ylim=(0, 1.02))


def draw_orders(
    step_sizes: Sequence[float], ends: Mapping[str, Sequence[float]], start: float
) -> Figure:
    """Where one outer step leads from `start`, over the inner step size; a line for each order."""
    figure, axis = plt.subplots(figsize=(9, 4.2))
    draw_lines_by_name(axis, step_sizes, ends, LINES)
    axis.axhline(start, color=FAINT, lw=1.5, ls=":")
    write_beside(axis, "ρ before the step", (step_sizes[-1], start), (0, 5), ha="right")
    axis.set(xlabel="inner step size β", xlim=(step_sizes[0], step_sizes[-1]))
    axis.set_ylabel("ρ after the step")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_phases(phases: Sequence[Phase], until: int | None = None) -> Figure:
    """What each phase of an iteration moves: a row for each phase, a column for each group.

    The last column is the virtual rho'. A filled cell moved, by the length and in as many numbers
    as it says; an empty one must not. Only the first `until` phases are filled in.
    """
    columns, rows = (*GROUPS, "ρ′ − ρ (virtual)"), phases[:until]
    figure, axis = plt.subplots(figsize=(13, 0.72 * len(phases) + 1.1))
    for y, phase in enumerate(phases):
        for x, group in enumerate(columns):
            moved = phase.moved.get(group)
            colour = LOOKS["metabin"].colour if group == "ρ" else "#5B6C7D"
            filled = y < len(rows) and (moved or (x == len(GROUPS) and phase.virtual))
            look = (
                dict(facecolor=colour)
                if filled and moved
                else dict(facecolor="white", edgecolor="#DDDDDD")
            )
            if filled and not moved:
                look = dict(
                    facecolor="white", edgecolor=LOOKS["metabin"].colour, hatch="//", lw=1.5
                )
            axis.add_patch(Rectangle((x - 0.46, y - 0.4), 0.92, 0.8, **look))
            if filled:
                count, length = moved or ("", phase.virtual)
                text = f"{length:.2g}" + (f"  in {count:,}" if count else "")
                box = None if moved else {"facecolor": "white", "edgecolor": "none", "pad": 2}
                style = {"ha": "center", "va": "center", "fontsize": 13, "bbox": box}
                axis.text(x, y, text, color="white" if moved else INK, **style)
    axis.set_yticks(range(len(phases)), [f"{p.does}  ({p.lines})" for p in phases])
    axis.set_xticks(range(len(columns)), columns)
    axis.tick_params(length=0, labeltop=True, labelbottom=False)
    axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(phases) - 0.5, -0.5))
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


def draw_order_gap(step_sizes: Sequence[float], gaps: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """First against second order over the inner step size, of `meta_study.order_gap`.

    A dot for each split, a line of medians.
    """
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2))
    panels = ("cosine", "Cosine of the two gradients"), ("length", "Length, first order / second")
    for axis, (quantity, title) in zip(axes, panels, strict=True):
        for i, ((name, gap), (colour, line, width)) in enumerate(
            zip(gaps.items(), LINES, strict=False)
        ):
            x = np.arange(len(step_sizes)) + 0.12 * (i - (len(gaps) - 1) / 2)
            values = gap[quantity].cpu().numpy()  # (splits, sizes)
            for row in values:
                axis.plot(x, row, "os^D"[i], color=colour, ms=7, alpha=0.5)
            look = {"color": colour, "ls": line, "lw": width, "marker": "os^D"[i]}
            axis.plot(x, np.median(values, axis=0), label=name, **look)
        axis.axhline(1, color=FAINT, lw=1.5, ls=":", zorder=0)
        axis.set_xticks(range(len(step_sizes)), [f"{size:g}" for size in step_sizes])
        axis.set(title=title, xlabel="inner step size β", ylim=(0, None))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(gaps))
    return figure


def draw_drift(drifts: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """Running statistics of the first layer, with the meta phases held or free.

    drifts: of `meta_study.drift`. Left, how far the mean is from that over all base
    batches; right, the variance over that.
    """
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2))
    panels = ("mean", "Mean: distance in standard deviations"), ("var", "Variance: ratio")
    for axis, (quantity, title) in zip(axes, panels, strict=True):
        for (name, drift), (colour, line, width) in zip(drifts.items(), LINES, strict=False):
            values = drift[quantity][:, 0].tolist()
            axis.plot(
                range(1, len(values) + 1), values, color=colour, ls=line, lw=width, label=name
            )
        axis.set(title=title, xlabel="iteration")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylim(0, None)
    axes[1].axhline(1, color=FAINT, lw=1.5, ls=":", zorder=0)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(drifts)
    )
    return figure


def draw_shares(shares: Mapping[str, Sequence[float]]) -> Figure:
    """Shares of channels over the meta-steps, in percent; a line for each name."""
    figure, axis = plt.subplots(figsize=(9, 4.2))
    for (name, values), (colour, line, width) in zip(shares.items(), LINES, strict=False):
        axis.plot([100 * value for value in values], color=colour, ls=line, lw=width, label=name)
    axis.set(xlabel="iteration", ylabel="channels (%)", ylim=(0, 104), xlim=(0, None))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=1)
    return figure


def draw_teaser() -> Figure:
    """figures/meta_step.svg: one meta-step on the toy, and where many of them lead."""
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.8))
    _draw_step(axes[0], toy_step(0.6, inner_lr=0.5, outer_lr=0.25))
    axes[0].set_title("One meta-step")
    walks = {
        "with the inner step, first order": toy_walk(0.6, 10, 0.5, 0.25),
        "second order": toy_walk(0.6, 10, 0.5, 0.25, order=2),
        "without it (β = 0)": toy_walk(0.6, 10, 0.0, 0.1),
    }
    _draw_walks(axes[1], walks, {"lowest $L_{mte}$": 0.5, "lowest $L_{mte}$ after a push": 0.8})
    axes[1].set_title("Ten meta-steps")
    axes[0].legend(loc="upper left", ncols=1)
    axes[1].legend(loc="lower right")
    return figure
