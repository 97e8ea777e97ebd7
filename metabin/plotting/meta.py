"""How the meta-step is drawn: on the toy's two curves, phase by phase, and over many steps."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from metabin.analysis.toy import ToyStep
from metabin.analysis.trace import GROUPS, Phase
from metabin.plotting.marks import LINES, draw_lines_by_name, draw_tiles, side_by_side, write_beside
from metabin.plotting.panels import legend_below, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS, LOSSES

# Of L_mtr and of L_mte.
TRAIN, TEST = LOSSES["scatter + shuffle"].colour, LOSSES["triplet"].colour
# What a phase did to a group: nothing, moved it, moved rho, moved rho virtually.
STILL, MOVED, MOVED_RHO, VIRTUAL = range(4)
TILES = ListedColormap(["#F5F5F5", "#5B6C7D", LOOKS["metabin"].colour, "#F6CDB9"])


def _draw_step(axis: plt.Axes, step: ToyStep) -> None:
    """Both losses over rho, and three moves.

    The inner move (1), the slope of L_mte at rho' (2), and that slope followed from rho (3).
    """
    low, high = min(0.0, step.virtual - 0.1), max(1.0, step.virtual + 0.1)
    at = torch.linspace(low, high, 101, dtype=torch.float64)
    train, test = step.losses(at)
    axis.plot(at, train, color=TRAIN, ls="--", label="$L_{mtr}$")
    axis.plot(at, test, color=TEST, label="$L_{mte}$")
    top = max(*train, *test)
    (y_train, _), (_, y_test) = step.losses(torch.tensor([step.rho, step.virtual]).double())
    ends = (
        (step.rho, y_train, step.slope_train, TRAIN, "o"),
        (step.virtual, y_test, step.slope_test, TEST, "D"),
    )
    for x, y, slope, colour, marker in ends:
        reach = min(0.13, 0.22 * top / max(abs(slope), 1e-9))
        axis.plot([x - reach, x + reach], [y - reach * slope, y + reach * slope], color=INK, lw=2)
        axis.plot(x, y, marker, ms=11, color=colour, zorder=4)
    _draw_move(axis, "1", "ρ′", (step.rho, step.virtual), -0.1 * top, TRAIN)
    _draw_move(axis, "3", "new ρ", (step.rho, step.after), -0.22 * top, TEST)
    moved = abs(step.virtual - step.rho)
    shift = (0, -22) if moved <= 0.05 else (0, 12)  # under the other curve's dot
    write_beside(axis, "2", (step.virtual, y_test), shift, ha="center", fontweight="bold")
    for x in (step.rho, step.virtual, step.after):
        axis.axvline(x, color=FAINT, lw=1, ls=":", zorder=0)
    start = "ρ" if moved > 1e-9 else "ρ = ρ′"
    axis.annotate(start, (step.rho, -0.29 * top), ha="center", va="top", annotation_clip=False)
    axis.set(xlim=(low, high), xlabel="ρ   (0: IN, 1: BN)")
    axis.set(ylim=(-0.42 * top, 1.05 * top), yticks=[], ylabel="loss")
    axis.grid(visible=False)


def _draw_move(axis: plt.Axes, number: str, name: str, move: tuple, y: float, colour: str) -> None:
    """An arrow along rho, its number behind its tail, the name of its end before its head."""
    start, end = move
    if abs(end - start) < 1e-9:
        return
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 3, "mutation_scale": 20}
    axis.annotate("", (end, y), (start, y), arrowprops=arrow | {"shrinkA": 0, "shrinkB": 0})
    behind, before, shift = ("left", "right", 6) if end < start else ("right", "left", -6)
    number_style = {"va": "center", "ha": behind, "fontweight": "bold"}
    write_beside(axis, number, (start, y), (shift, 0), **number_style)
    write_beside(axis, name, (end, y), (-shift, 0), va="center", ha=before)


def draw_steps(panels: Mapping[str, ToyStep]) -> plt.Figure:
    """A meta-step of the toy in each panel: both curves, and three numbered moves."""
    size = max(7.5 / len(panels), 5.2), 4.6
    figure, axes = titled_panels(panels, size, sharey=False)
    for axis, step in axes:
        _draw_step(axis, step)
    legend_below(figure)
    return figure


def draw_phases(phases: Sequence[Phase], until: int | None = None) -> plt.Figure:
    """What each phase of an iteration moves: a row for each phase, a column for each group.

    The last column is the virtual rho', in a lighter colour. A dark tile moved, by the length and
    in as many numbers as it says; an empty one must not. Only the first `until` phases are filled.
    """
    columns = [*GROUPS, "ρ′ − ρ (virtual)"]
    tiles = np.full((len(phases), len(columns)), STILL)
    words = np.full(tiles.shape, "", object)
    for row, phase in enumerate(phases[:until]):
        for group, (count, length) in phase.moved.items():
            cell = row, columns.index(group)
            tiles[cell] = MOVED_RHO if group == "ρ" else MOVED
            words[cell] = f"{length:.2g}  in {count:,}"
        if phase.virtual:
            tiles[row, -1], words[row, -1] = VIRTUAL, f"{phase.virtual:.2g}"
    figure, axis = plt.subplots(figsize=(13, 0.72 * len(phases) + 1.1))
    labels = {"yticklabels": [f"{p.does}  ({p.lines})" for p in phases], "xticklabels": columns}
    scale = {"cmap": TILES, "vmin": STILL, "vmax": VIRTUAL, "cbar": False, **labels}
    draw_tiles(axis, tiles, words, {"fontsize": 13}, linewidths=6, linecolor="white", **scale)
    axis.tick_params(labeltop=True, labelbottom=False)
    return figure


def draw_order_gap(
    step_sizes: Sequence[float], gaps: Mapping[str, Mapping[str, Tensor]]
) -> plt.Figure:
    """First against second order over the inner step size, of `meta_study.order_gap`.

    A dot for each split, a line of medians.
    """
    titles = {"Cosine of the two gradients": "cosine", "Length, first order / second": "length"}
    figure, axes = titled_panels(titles, (6, 4.2), sharey=False, xlabel="inner step size β")
    for axis, quantity in axes:
        looks = zip(gaps.items(), LINES, "os^D", side_by_side(len(gaps), 0.12), strict=False)
        for (name, gap), (colour, line, width), marker, shift in looks:
            x, values = np.arange(len(step_sizes)) + shift, gap[quantity].cpu()  # (splits, sizes)
            axis.plot(x, values.T, marker, color=colour, ms=7, alpha=0.5)
            look = {"color": colour, "ls": line, "lw": width, "marker": marker}
            axis.plot(x, np.median(values, axis=0), label=name, **look)
        axis.axhline(1, color=FAINT, lw=1.5, ls=":", zorder=0)
        axis.set_xticks(range(len(step_sizes)), [f"{size:g}" for size in step_sizes])
        axis.set_ylim(0, None)
    legend_below(figure)
    return figure


def draw_drift(drifts: Mapping[str, Mapping[str, Tensor]]) -> plt.Figure:
    """Running statistics of the first layer, with the meta phases held or free.

    drifts: of `meta_study.drift`. Left, how far the mean is from that over all base
    batches; right, the variance over that.
    """
    titles = {"Mean: distance in standard deviations": "mean", "Variance: ratio": "var"}
    figure, axes = titled_panels(titles, (6, 4.2), sharey=False, xlabel="iteration")
    for axis, quantity in axes:
        lines = {name: drift[quantity][:, 0].tolist() for name, drift in drifts.items()}
        draw_lines_by_name(axis, lines, range(1, len(next(iter(lines.values()))) + 1))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    (mean, _), (variance, _) = axes
    mean.set_ylim(0, None)
    variance.axhline(1, color=FAINT, lw=1.5, ls=":", zorder=0)
    legend_below(figure)
    return figure
