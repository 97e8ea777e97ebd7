"""How the course draws: one look per method, the house style, and files that come out the same each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import matplotlib.style
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

STYLE = Path(__file__).resolve().parents[1] / "figures" / "metabin.mplstyle"


@dataclass(frozen=True)
class Look:
    """How one method is drawn everywhere: a colour, and a marker, hatch and line style for those who can't use it."""

    name: str
    colour: str
    marker: str
    hatch: str
    line: str | tuple


# Okabe and Ito's colour-blind safe palette, its lightness stretched so that a greyscale print keeps the methods apart:
# L* is 37, 80, 70, 58, 49 in this order, 73 for the paper's numbers, 0 for what nobody may claim.
METHODS = {
    "bn": Look("BN", "#005A9C", "o", "//", "-"),
    "in": Look("IN", "#F5BE41", "s", "\\\\", "--"),
    "half": Look("Half", "#56B4E9", "^", "..", "-."),
    "bin": Look("BIN", "#009E73", "D", "xx", (0, (5, 1, 1, 1, 1, 1))),
    "metabin": Look("MetaBIN", "#C84B00", "*", "", "-"),
    "paper": Look("paper", "#B3B3B3", "P", "--", ":"),
    "oracle": Look("oracle", "#000000", "X", "oo", (0, (1, 1))),
}


def use_style() -> None:
    """Draw in the house style (figures/metabin.mplstyle) from here on."""
    matplotlib.style.use(STYLE)


def save(figure: Figure, path: Path | str) -> Path:
    """Write a figure so that drawing the same numbers again gives the same bytes; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # what would change from one run to the next
    with matplotlib.style.context(STYLE):
        figure.savefig(path, metadata=dated.get(path.suffix))
    return path


def to_picture(image: Tensor) -> np.ndarray:
    """A uint8 image (3, H, W) as matplotlib wants it, (H, W, 3)."""
    return image.permute(1, 2, 0).cpu().numpy()


def draw_pictures(rows: Mapping[str, Tensor], gap: int = 2, scale: float = 0.022) -> Figure:
    """One row of pictures (N, 3, H, W) uint8 for each label, on a common white ground; `scale` is inches per pixel."""
    count = max(len(images) for images in rows.values())
    height, width = next(iter(rows.values())).shape[-2:]
    figure, axes = plt.subplots(
        len(rows),
        1,
        figsize=(scale * count * (width + gap) + 1.6, scale * len(rows) * (height + gap) + 0.1),
        squeeze=False,
    )
    for axis, (label, images) in zip(axes[:, 0], rows.items(), strict=True):
        strip = np.full((height, count * (width + gap) - gap, 3), 255, np.uint8)
        for i, image in enumerate(images):
            strip[:, i * (width + gap) : i * (width + gap) + width] = to_picture(image)
        axis.imshow(strip)
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.spines[:].set_visible(False)
    return figure


def draw_rankings(rankings: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Figure:
    """Rank lists, one row for each label: the query (3, H, W), the best gallery images (K, 3, H, W), right or not (K,).

    A right picture has a solid green frame and a tick, a wrong one a dashed vermilion frame.
    """
    count = 1 + max(len(images) for _, images, _ in rankings.values())
    figure, axes = plt.subplots(len(rankings), count, figsize=(1.0 * count + 1.2, 2.05 * len(rankings)), squeeze=False)
    for row, (label, (query, images, right)) in zip(axes, rankings.items(), strict=True):
        for axis, picture in zip(row, [query, *images], strict=True):
            axis.imshow(to_picture(picture))
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", labelpad=12)
        row[0].set_title("query", fontsize=12, loc="center", fontweight="normal")
        row[0].spines[:].set_visible(False)
        for rank, (axis, hit) in enumerate(zip(row[1:], right.tolist(), strict=True), 1):
            axis.set_title(f"{rank} ✓" if hit else f"{rank}", fontsize=12, loc="center", fontweight="normal")
            for spine in axis.spines.values():
                spine.set(visible=True, linewidth=4, edgecolor="#009E73" if hit else "#C84B00")
                spine.set_linestyle("-" if hit else (0, (2, 1)))
    return figure


def draw_comparison(axis: Axes, values: Mapping[str, Sequence[float]], oracles: Mapping[str, Sequence[float]]) -> None:
    """A bar for each method: the mean over seeds of a fraction, in percent, each seed a dot; oracles as black ticks."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = METHODS[method], [100 * value for value in seeds]
        axis.bar(x, mean(percent), 0.72, color=look.colour, hatch=look.hatch, alpha=0.9)
        axis.plot(np.linspace(x - 0.2, x + 0.2, len(percent)), percent, "o", color="#222222", ms=5, ls="")
        axis.annotate(f"{mean(percent):.0f}", (x, 1.5), ha="center", fontsize=15, fontweight="bold", color="white")
        if method in oracles:
            axis.hlines(100 * mean(oracles[method]), x - 0.4, x + 0.4, color="#000000", linestyles=(0, (2, 1)))
    axis.set_xticks(range(len(values)), [METHODS[method].name for method in values])
    axis.grid(axis="x", visible=False)
    axis.set_ylim(0, 100)
    axis.set_ylabel("Rank-1 (%)")


def draw_spine(report: Mapping) -> Figure:
    """Rank-1 of five methods on unseen streets and on the training streets (figures/results/spine.json)."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.8), sharey=True)
    titles = {"unseen_streets": "Streets never seen", "same_streets": "Own streets, people told apart by colour"}
    for axis, (setting, title) in zip(axes, titles.items(), strict=True):
        rows = report[setting]["methods"]
        values = {method: rows[method]["rank1"] for method in METHODS if method in rows}
        oracles = {m: rows[f"{m} + oracle rho"]["rank1"] for m in values if f"{m} + oracle rho" in rows}
        draw_comparison(axis, values, oracles)
        axis.set_title(title)
    axes[1].set_ylabel("")
    return figure


def draw_balances(balances: Mapping[str, Tensor]) -> Figure:
    """A histogram of all balancing parameters (C,) for each label, from IN (0) to BN (1)."""
    figure, axes = plt.subplots(1, len(balances), figsize=(5 * len(balances), 3.2), sharey=True, squeeze=False)
    for axis, (label, rho) in zip(axes[0], balances.items(), strict=True):
        look = next(look for look in METHODS.values() if look.name == label)
        axis.hist(rho.cpu().numpy(), bins=np.linspace(0, 1, 21), color=look.colour, hatch=look.hatch)
        axis.set(title=label, xlabel="ρ   (0: IN, 1: BN)", xlim=(0, 1))
    axes[0, 0].set_ylabel("channels")
    return figure
