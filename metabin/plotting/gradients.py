"""How the inner step's gradients are drawn: by loss, layer and moment of the training."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from torch import Tensor

from metabin.analysis.gradient_study import CLAIMS
from metabin.plotting.losses import draw_arrows, draw_points, explain_points
from metabin.plotting.marks import ask, draw_intervals, draw_tiles
from metabin.plotting.panels import legend_below, row_of_panels, titled_panels
from metabin.plotting.style import FAINT, INK, LOOKS, LOSSES

ENDS = LOSSES["triplet"].colour, LOSSES["shuffle"].colour
SIGNS = ListedColormap([ENDS[0], "#EEEEEE", ENDS[1]])  # minus, undecided, plus


def _mark_directions(axis: plt.Axes, size: float = 12, side: str = "right") -> None:
    """A line at zero, and at one side which way a gradient's sign moves rho."""
    axis.axhline(0, color=INK, lw=1.2, zorder=1)
    for y, va, text in ((0.98, "top", "to IN ↑"), (0.02, "bottom", "to BN ↓")):
        x = 0.99 if side == "right" else 0.02
        style = {"ha": side, "va": va, "fontsize": size, "color": "#666666"}
        axis.annotate(text, (x, y), xycoords="axes fraction", **style)


def draw_figure5(report: Mapping) -> plt.Figure:
    """Figure 5 on streets: each loss's gradient with respect to rho by layer.

    A row for each loss, a column for each moment. Dots are means over a layer's channels, bars 95 %
    intervals, open dots undecided; each panel has its own scale. Its first line says how many of
    all channels have a positive gradient.
    """
    moments, losses = report["moments"], list(next(iter(report["moments"].values()))["layers"])
    shape = len(losses), len(moments)
    figure, axes = plt.subplots(*shape, figsize=(13.5, 8.6), sharex=True, squeeze=False)
    for column, (moment, measured) in zip(axes.T, moments.items(), strict=True):
        for axis, loss in zip(column, losses, strict=True):
            rows, look = measured["layers"][loss], LOSSES[loss].marks | {"ms": 8}
            layers, reach = range(1, len(rows) + 1), 1.35 * np.abs(rows).max()
            draw_intervals(axis, layers, rows, look, open_at_zero=True)
            _mark_directions(axis, 11)
            share = np.mean([mean for mean, *_ in measured["positive"][loss]])
            style = {"xycoords": "axes fraction", "va": "top", "fontsize": 11}
            axis.annotate(f"{share:.0%} of channels > 0", (0.03, 0.98), **style)
            axis.set(ylim=(-reach, reach), xlim=(0.3, len(rows) + 0.7), xticks=layers[::2])
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
            axis.tick_params(labelsize=11)
            axis.yaxis.get_offset_text().set_fontsize(10)
        column[0].set_title(f"{moment}, mean ρ {measured['rho']:.2f}", pad=18, fontsize=14)
        column[-1].set_xlabel("layer")
    for axis, loss in zip(axes[:, 0], losses, strict=True):
        axis.set_ylabel(f"{loss}\n∂L/∂ρ", color=LOSSES[loss].colour)
    return figure


def draw_velocities(
    features: Tensor, velocities: Mapping[str, Tensor], pids: Tensor, domains: Tensor
) -> plt.Figure:
    """Where features (N, 2) go: style to the right, identity upward.

    A panel for each of `velocities` (N, 2).
    """
    labels = {"xlabel": "channel 1: style", "ylabel": "channel 2: identity"}
    figure, axes = titled_panels(velocities, (6.2, 4), sharex=True, **labels)
    for axis, arrows in axes:
        draw_points(axis, features, pids, domains)
        draw_arrows(axis, features, arrows, INK, width=0.006)
        axis.plot(0, 0, "+", mec=INK, ms=14, mew=2)
        axis.margins(0.2)
    explain_points(figure, domains, below=True)
    return figure


def draw_directions(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> plt.Figure:
    """Gradients by layer, a panel for each title: a line for each loss, and the sum of several."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    size = (max(7.5, 4.6 * columns), 3.4 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True)
    shown = {}
    for axis, (title, by_loss) in zip(axes.flat, panels.items(), strict=False):
        lines = {loss: np.asarray(values) for loss, values in by_loss.items()}
        if len(lines) > 1:
            lines["sum"] = np.sum(list(lines.values()), axis=0)
        for loss, values in lines.items():
            look = LOSSES["all" if loss == "sum" else loss].curve | {"label": loss, "ms": 8}
            [shown[loss]] = axis.plot(range(1, len(values) + 1), values, **look)
        reach = 1.25 * max(np.abs(values).max() for values in lines.values())
        axis.set(title=title, ylim=(-reach or -1, reach or 1))
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        _mark_directions(axis)
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    axes[0, 0].set_ylabel("∂L/∂ρ")
    legend_below(figure, list(shown.values()))
    return figure


def draw_signs(rows: Mapping[str, Sequence[Sequence[float]]]) -> plt.Figure:
    """Signs by layer, a row for each condition: + or -, on grey where the interval holds zero."""
    middle, low, high = np.array(list(rows.values())).transpose(2, 0, 1)  # (rows, L) each
    decided = np.sign(middle) * ((low > 0) | (high < 0))
    words = np.where(middle > 0, "+", "−")
    layers = range(1, middle.shape[1] + 1)
    figure, axis = plt.subplots(figsize=(12, 0.48 * len(rows) + 1.3))
    scale = {"cmap": SIGNS, "vmin": -1, "vmax": 1, "cbar": False}
    lines = {"linewidths": 3, "linecolor": "white"}
    labels = {"xticklabels": layers, "yticklabels": list(rows)}
    font = {"fontsize": 15, "va": "center_baseline"}
    draw_tiles(axis, decided, words, font, **scale, **lines, **labels)
    axis.set_xlabel("layer")
    return figure


def draw_origins(studies: Mapping[str, Mapping], origins: Sequence[float]) -> plt.Figure:
    """The scatter loss's gradient over the cosine's origin, and what the rule predicts.

    studies: "measured", "centre", "spread" of each network, (origins, L, 3), of
    `gradient_study.measure`. Scales are symmetric and logarithmic.
    """
    figure, axes = row_of_panels(len(studies) + 1, (4.9, 4.8), sharey=False)
    *panels, rule = axes
    looks = ("o", INK, "white"), ("s", *[LOSSES["shuffle"].colour] * 2)  # marker, edge, face
    for axis, (name, study), look in zip(panels, studies.items(), looks, strict=False):
        means = {key: np.array(values)[..., 0] for key, values in study.items()}  # (origins, L)
        measured, predicted = means["measured"], (means["centre"] - means["spread"]) / 2
        colours = plt.get_cmap("cividis")(np.linspace(0, 0.9, measured.shape[1]))
        for values, colour in zip(measured.T, colours, strict=True):
            axis.plot(origins, values, color=colour, marker=".", lw=1.8)
        axis.set(title=name, xlabel="origin (0: zero, 1: the mean)")
        _mark_directions(axis, side="left")
        marker, edge, face = look
        style = {"ls": "", "marker": marker, "mec": edge, "mfc": face, "ms": 7, "label": name}
        rule.plot(predicted.ravel(), measured.ravel(), **style)
    axes[0].set_ylabel("scatter's ∂L/∂ρ\n(dark: layer 1, light: last)")
    rule.set(xlabel="(centre's − spread's growth) / 2", ylabel="scatter's ∂L/∂ρ", title="The rule")
    rule.axhline(0, color=FAINT, lw=1.2)
    rule.axvline(0, color=FAINT, lw=1.2)
    rule.legend(loc="upper left")
    for axis in axes:
        axis.set_yscale("symlog", linthresh=1e-4)
        axis.set_yticks([-1e-2, -1e-3, 0, 1e-3, 1e-2])
    rule.set_xscale("symlog", linthresh=1e-4)
    rule.set_xticks([-1e-2, 0, 1e-2])
    return figure


def draw_agreement(
    moments: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str]
) -> plt.Figure:
    """Cosines between gradients by moment; in brackets where the interval holds zero."""
    figure, axes = titled_panels(moments, (3.6, 4.8))
    shape = len(names) - 1, len(names) - 1
    for axis, cosines in axes:
        tiles, words = np.full(shape, np.nan), np.full(shape, "", object)
        for left, below in combinations(names, 2):
            middle, low, high = cosines[f"{left}, {below}"]
            tile = names.index(below) - 1, names.index(left)
            tiles[tile] = middle
            words[tile] = f"({middle:+.2f})" if low <= 0 <= high else f"{middle:+.2f}"
        scale = {"cmap": "PuOr", "vmin": -1, "vmax": 1, "cbar": False, "square": True}
        labels = {"xticklabels": names[:-1], "yticklabels": names[1:]}
        draw_tiles(axis, tiles, words, {"fontsize": 12}, **scale, **labels)
        axis.tick_params(axis="x", labelrotation=45)
    return figure


def draw_teaser() -> plt.Figure:
    """figures/gradient_question.svg: which way the paper says that each loss pushes rho."""
    limits = {"xlim": (0.3, 11.7), "ylim": (-1, 1), "yticks": [], "xticks": range(1, 12, 2)}
    figure, axes = titled_panels(CLAIMS, (4.2, 3.4), xlabel="layer", ylabel="∂L/∂ρ", **limits)
    for (axis, sign), loss in zip(axes, CLAIMS, strict=True):
        axis.axhspan(0, sign, color=LOOKS["paper"].colour, alpha=0.25, lw=0)
        ask(axis, colour=LOSSES[loss].colour)
        axis.grid(visible=False)
        _mark_directions(axis)
    legend_below(figure, [Patch(color=LOOKS["paper"].colour, alpha=0.25, label="the paper says")])
    return figure
