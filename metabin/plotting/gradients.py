"""How the inner step's gradients are drawn: by loss, layer and moment of the training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from metabin.plotting.losses import DOMAINS, draw_arrows, draw_points
from metabin.plotting.marks import without_frame
from metabin.plotting.style import FAINT, INK, LOSSES

MARKERS = {"scatter": "s", "shuffle": "^", "triplet": "o", "sum": "D"}


def _mark_directions(axis: Axes, size: float = 12, side: str = "right") -> None:
    """A line at zero, and at one side which way a gradient's sign moves rho."""
    axis.axhline(0, color=INK, lw=1.2, zorder=1)
    for y, va, text in ((0.98, "top", "to IN ↑"), (0.02, "bottom", "to BN ↓")):
        x = 0.99 if side == "right" else 0.02
        style = {"ha": side, "va": va, "fontsize": size, "color": "#666666"}
        axis.annotate(text, (x, y), xycoords="axes fraction", **style)


def _draw_layers(axis: Axes, rows: Sequence[Sequence[float]], loss: str) -> None:
    """[mean, low, high] of each layer: a filled marker where the interval excludes zero."""
    middle, low, high = np.array(rows).T  # (L,) each
    colour, x = LOSSES[loss][0], np.arange(1, len(middle) + 1)
    axis.vlines(x, low, high, color=colour, lw=2)
    for sure in (True, False):
        some = ((low > 0) | (high < 0)) == sure
        edge = {"mfc": colour if sure else "white", "mec": colour, "mew": 1.8}
        axis.plot(x[some], middle[some], MARKERS[loss], color=colour, ms=8, ls="", **edge)
    reach = 1.35 * max(np.abs(low).max(), np.abs(high).max())
    axis.set(ylim=(-reach, reach), xlim=(0.3, len(middle) + 0.7))
    axis.set_xticks([layer for layer in x if layer % 2])
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))


def draw_figure5(report: Mapping) -> Figure:
    """Figure 5 on streets: each loss's gradient with respect to rho by layer.

    A row for each loss, a column for each moment. Dots are means over a layer's channels, bars 95 %
    intervals, open dots undecided; each panel has its own scale. Its first line says how many of
    all channels have a positive gradient.
    """
    moments, losses = report["moments"], list(next(iter(report["moments"].values()))["layers"])
    shape, size = (len(losses), len(moments)), (13.5, 8.6)
    figure, axes = plt.subplots(*shape, figsize=size, sharex=True, squeeze=False)
    for column, (moment, measured) in enumerate(moments.items()):
        for row, loss in enumerate(losses):
            axis = axes[row, column]
            _draw_layers(axis, measured["layers"][loss], loss)
            _mark_directions(axis, 11)
            share = np.mean([mean for mean, *_ in measured["positive"][loss]])
            style = {"xycoords": "axes fraction", "va": "top", "fontsize": 11}
            axis.annotate(f"{share:.0%} of channels > 0", (0.03, 0.98), **style)
            axis.tick_params(labelsize=11)
            axis.yaxis.get_offset_text().set_fontsize(10)
            if not column:
                axis.set_ylabel(f"{loss}\n∂L/∂ρ", color=LOSSES[loss][0])
        axes[0, column].set_title(f"{moment}, mean ρ {measured['rho']:.2f}", pad=18, fontsize=14)
        axes[-1, column].set_xlabel("layer")
    return figure


def draw_velocities(
    features: Tensor, velocities: Mapping[str, Tensor], pids: Tensor, domains: Tensor
) -> Figure:
    """Where features (N, 2) go: style to the right, identity upward.

    A panel for each of `velocities` (N, 2).
    """
    size = 6.2 * len(velocities), 4
    figure, axes = plt.subplots(1, len(velocities), figsize=size, sharex=True, sharey=True)
    for axis, (title, arrows) in zip(np.atleast_1d(axes), velocities.items(), strict=True):
        draw_points(axis, features, pids, domains, grow=2)
        draw_arrows(axis, features, arrows, INK, width=0.006)
        axis.plot(0, 0, "+", mec=INK, ms=14, mew=2)
        axis.set(title=title, xlabel="channel 1: style", ylabel="channel 2: identity")
        axis.margins(0.2)
    handles = []
    for number, (colour, marker, size) in zip(domains.unique().tolist(), DOMAINS, strict=False):
        look = {"marker": marker, "ms": size, "color": colour, "ls": ""}
        handles.append(Line2D([], [], label=f"street {number + 1}, either person", **look))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def draw_directions(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
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
            colour, line = LOSSES["all"] if loss == "sum" else LOSSES[loss]
            x = range(1, len(values) + 1)
            look = {"color": colour, "ls": line, "marker": MARKERS[loss], "ms": 8}
            [shown[loss]] = axis.plot(x, values, label=loss, **look)
        reach = 1.25 * max(np.abs(values).max() for values in lines.values())
        axis.set(title=title, ylim=(-reach or -1, reach or 1))
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        _mark_directions(axis)
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    axes[0, 0].set_ylabel("∂L/∂ρ")
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=4)
    return figure


def draw_signs(rows: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Signs by layer, a row for each condition: + or -, filled where the interval excludes zero."""
    figure, axis = plt.subplots(figsize=(12, 0.48 * len(rows) + 1.3))
    looks = {1: (LOSSES["shuffle"][0], "+"), -1: (LOSSES["triplet"][0], "−")}
    for y, cells in enumerate(rows.values()):
        for x, (middle, low, high) in enumerate(cells, 1):
            colour, text = looks[1 if middle > 0 else -1]
            sure = low > 0 or high < 0
            face = colour if sure else "white"
            axis.plot(x, y, "os"[middle > 0], ms=19, mec=colour, mfc=face, mew=1.5)
            style = {"ha": "center", "va": "center_baseline", "fontsize": 15}
            axis.text(x, y, text, color="white" if sure else colour, **style)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_xticks(range(1, len(cells) + 1))
    axis.set(xlabel="layer", ylim=(len(rows) - 0.4, -0.6), xlim=(0.4, len(cells) + 0.6))
    axis.grid(visible=False)
    return figure


def draw_origins(studies: Mapping[str, Mapping], origins: Sequence[float]) -> Figure:
    """The scatter loss's gradient over the cosine's origin, and what the rule predicts.

    studies: "measured", "centre", "spread" of each network, (origins, L, 3), of
    `gradient_study.measure`. Scales are symmetric and logarithmic.
    """
    figure, axes = plt.subplots(1, len(studies) + 1, figsize=(4.9 * (len(studies) + 1), 4.8))
    colours = plt.get_cmap("cividis")
    for i, (axis, (name, study)) in enumerate(zip(axes, studies.items(), strict=False)):
        means = {name: np.array(values)[..., 0] for name, values in study.items()}  # (origins, L)
        layers = means["measured"].shape[1]
        for layer in range(layers):
            colour = colours(0.9 * layer / (layers - 1))
            axis.plot(origins, means["measured"][:, layer], color=colour, marker=".", lw=1.8)
        axis.set(title=name, xlabel="origin (0: zero, 1: the mean)")
        axis.set_yscale("symlog", linthresh=1e-4)
        _mark_directions(axis, side="left")
        predicted = (means["centre"] - means["spread"]) / 2
        colour = (INK, LOSSES["shuffle"][0])[i % 2]
        look = dict(mec=colour, mfc=("white", colour)[i % 2], ls="", marker="os"[i % 2])
        axes[-1].plot(predicted.ravel(), means["measured"].ravel(), label=name, ms=7, **look)
    axes[0].set_ylabel("scatter's ∂L/∂ρ\n(dark: layer 1, light: last)")
    axes[-1].set(
        title="The rule", xlabel="(centre's − spread's growth) / 2", ylabel="scatter's ∂L/∂ρ"
    )
    axes[-1].set_xscale("symlog", linthresh=1e-4)
    axes[-1].set_yscale("symlog", linthresh=1e-4)
    axes[-1].axhline(0, color=FAINT, lw=1.2)
    axes[-1].axvline(0, color=FAINT, lw=1.2)
    axes[-1].legend(loc="upper left")
    for axis in axes:
        axis.yaxis.set_major_locator(plt.FixedLocator([-1e-2, -1e-3, 0, 1e-3, 1e-2]))
    axes[-1].xaxis.set_major_locator(plt.FixedLocator([-1e-2, 0, 1e-2]))
    return figure


def draw_agreement(
    moments: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str]
) -> Figure:
    """Cosines between gradients by moment; in brackets where the interval holds zero."""
    figure, axes = plt.subplots(1, len(moments), figsize=(3.6 * len(moments), 4.8), squeeze=False)
    for axis, (moment, cosines) in zip(axes[0], moments.items(), strict=True):
        grid = np.full((len(names), len(names)), np.nan)
        for y, below in enumerate(names):
            for x, other in enumerate(names[:y]):
                middle, low, high = cosines[f"{other}, {below}"]
                grid[y, x] = middle
                text = f"{middle:+.2f}" if low > 0 or high < 0 else f"({middle:+.2f})"
                style = {"ha": "center", "va": "center", "fontsize": 12}
                axis.text(x, y, text, color="white" if middle > 0.55 else INK, **style)
        extent = -0.5, len(names) - 1.5, len(names) - 0.5, 0.5
        axis.imshow(grid[1:, :-1], cmap="PuOr", vmin=-1, vmax=1, extent=extent)
        axis.set_xticks(range(len(names) - 1), names[:-1], rotation=45)
        rows = names[1:] if axis is axes[0, 0] else [""] * (len(names) - 1)
        axis.set_yticks(range(1, len(names)), rows)
        axis.set_title(moment)
        without_frame(axis)
    return figure
