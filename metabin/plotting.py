"""How the course draws: one look per method, the house style, and files that come out the same each time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import matplotlib.style
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
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
                spine.set(linestyle="-" if hit else (0, (2, 1)), capstyle="butt")
    return figure


def draw_comparison(axis: Axes, values: Mapping[str, Sequence[float]], oracles: Mapping[str, Sequence[float]]) -> None:
    """A bar for each method: the mean over seeds of a fraction, in percent, each seed a dot; oracles as black ticks."""
    for x, (method, seeds) in enumerate(values.items()):
        look, percent = METHODS[method], [100 * value for value in seeds]
        axis.bar(x, mean(percent), 0.72, color=look.colour, hatch=look.hatch, alpha=0.9)
        axis.plot(np.linspace(x - 0.2, x + 0.2, len(percent)), percent, "o", color="#222222", ms=5, ls="")
        box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "none"}
        axis.annotate(f"{mean(percent):.0f}", (x, 4), ha="center", fontsize=15, fontweight="bold", bbox=box)
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


def draw_two_channels(panels: Mapping[str, Tensor], people: Sequence[int], streets: Sequence[int]) -> Figure:
    """The two-channel world: one panel per label with its images (N, 2, 1, 2), each a line between its two pixels.

    Across: the channel of style; up: the channel of identity. Filled or not says which person (0 or 1), the marker which
    street: 0 and 1 are known, 2 is new.
    """
    size = max(9, 3.9 * len(panels)), 4.3
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False)
    ink, fills, markers = "#222222", ("#222222", "white"), (("o", 11), ("s", 11), ("*", 17))
    for axis, (label, images) in zip(axes[0], panels.items(), strict=True):
        for image, person, street in zip(images.detach(), people, streets, strict=True):
            x, y = image[:, 0].numpy()  # (2,) pixels each
            marker, size = markers[street]
            axis.plot(x, y, color="#999999", lw=1.5, marker=marker, ms=size, mfc=fills[person], mec=ink)
        axis.set(title=label, xlabel="style channel", ylim=(-1.6, 1.6))
    axes[0, 0].set_ylabel("identity channel")
    dots = [Line2D([], [], marker="o", ms=11, mfc=fill, mec=ink, ls="") for fill in fills]
    dots += [Line2D([], [], marker=marker, ms=size, color="#999999", ls="") for marker, size in markers]
    names = ("person 1", "person 2", "street A", "street B", "unseen street")
    figure.legend(dots, names, loc="outside lower center", ncols=5, columnspacing=1.2, handletextpad=0.2)
    return figure


def draw_transfer(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Rank-1 by method, a panel for each kind of streets; every dot is one street."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 4.4), sharey=True, squeeze=False)
    for axis, (title, values) in zip(axes[0], panels.items(), strict=True):
        draw_comparison(axis, values, {})
        axis.set_title(title)
    for axis in axes[0, 1:]:
        axis.set_ylabel("")
    return figure


def draw_readings(panels: Mapping[str, Mapping[str, Sequence[float]]], guesses: Mapping[str, float]) -> Figure:
    """How well something can be read after each norm layer: a panel for each thing, a line for each method.

    A dotted grey line marks what guessing would give (`guesses`).
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(4.4 * len(panels), 4.4), sharey=True, squeeze=False)
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for method, values in lines.items():
            look = METHODS[method]
            steps = range(1, len(values) + 1)
            axis.plot(
                steps, [100 * v for v in values], color=look.colour, marker=look.marker, ls=look.line, label=look.name
            )
        axis.axhline(100 * guesses[title], color="#777777", ls=":", label="guessing")
        axis.set(title=title, xlabel="norm layer", ylim=(0, 100))
    axes[0, 0].set_ylabel("read correctly (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines) + 1)
    return figure


def draw_knob(panels: Mapping[str, Mapping[str, Sequence[float]]], values: Mapping[str, Sequence[float]]) -> Figure:
    """Rank-1 while one knob of the world is turned: a panel for each knob with its `values`, a line for each method."""
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4.6), sharey=True, squeeze=False)
    for axis, (knob, lines) in zip(axes[0], panels.items(), strict=True):
        for method, rates in lines.items():
            look = METHODS[method]
            percent = [100 * rate for rate in rates]
            axis.plot(values[knob], percent, color=look.colour, marker=look.marker, ls=look.line, label=look.name)
        axis.set(xlabel=knob, xticks=values[knob], ylim=(0, 100))
    axes[0, 0].set_ylabel("Rank-1 (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(lines))
    return figure


def draw_phase(report: Mapping) -> Figure:
    """Who wins where (figures/results/phase.json): BN minus IN in Rank-1, and the winner of all methods with its lead.

    Right, by how far styles differ; up, by how much of identity is colour. Grey and hatched: not decided by these seeds.
    """
    styles, colours = report["styles"], report["colours"]
    figure, axes = plt.subplots(1, 2, figsize=(12.5, 5.4), sharey=True)
    for cell in report["cells"]:
        x, y = styles.index(cell["style"]), colours.index(cell["colour"])
        bn, in_ = (cell["methods"][m]["rank1"] for m in ("bn", "in"))
        points = [100 * (a - b) for a, b in zip(bn, in_, strict=True)]
        sure = abs(mean(points)) > stdev(points)
        _draw_cell(axes[0], x, y, METHODS["bn" if mean(points) > 0 else "in"], f"{mean(points):+.0f}", sure)
        lead, look = 100 * mean(cell["lead"]), METHODS[cell["winner"]]
        _draw_cell(axes[1], x, y, look, f"{look.name}\n{lead:+.0f}", cell["decided"])
    axes[0].set(title="BN minus IN, points of Rank-1", ylabel="share of identity that is colour")
    axes[1].set_title("The winner, and its lead over the second")
    for axis in axes:
        axis.set_xticks(range(len(styles)), [f"{s:g}" for s in styles])
        axis.set_yticks(range(len(colours)), [f"{100 * c:.0f} %" for c in colours])
        axis.set(xlabel="how far styles differ", xlim=(-0.5, len(styles) - 0.5), ylim=(-0.5, len(colours) - 0.5))
        axis.grid(visible=False)
        axis.tick_params(length=0)
    looks = [METHODS[m] for m in report["methods"]]
    handles = [Patch(facecolor=look.colour, label=f"{look.name} wins") for look in looks]
    handles.append(Patch(facecolor="#E4E4E4", edgecolor="#999999", hatch="//", label="undecided between these seeds"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _draw_cell(axis: Axes, x: int, y: int, look: Look, text: str, decided: bool) -> None:
    """A tile of the phase diagram: the winner's colour, or grey and hatched."""
    colour, ink = (look.colour, "white" if look is METHODS["bn"] else "#222222") if decided else ("#E4E4E4", "#666666")
    tile = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=3)
    axis.add_patch(tile)
    if not decided:
        axis.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, fill=False, edgecolor="#BBBBBB", hatch="//", lw=0))
    axis.text(x, y, text, ha="center", va="center", fontsize=15, fontweight="bold", color=ink)


# ---- a training run ------------------------------------------------------------------------------------------------

LOSSES = {  # colour and line of a loss, none of them a method's; "scatter + shuffle" and "all" are what an inner step may use
    "id": ("#332288", "-"),
    "triplet": ("#AA4499", "-"),
    "scatter": ("#999933", "--"),
    "shuffle": ("#44AA99", "-."),
    "scatter + shuffle": ("#44AA99", "--"),
    "all": ("#222222", ":"),
}


def smoothed(values: Sequence[float], width: int) -> np.ndarray:
    """A running mean over up to `width` values, as many as there are at both ends."""
    sums = np.cumsum([0.0, *values])
    last = np.minimum(np.arange(len(values)) + width // 2 + 1, len(values))
    first = np.maximum(np.arange(len(values)) - width // 2, 0)
    return (sums[last] - sums[first]) / (last - first)


def draw_losses(history: Mapping[str, Sequence[float]], width: int = 25) -> Figure:
    """The losses of every iteration, faint, and their running means; a panel for each phase ("base/id", …), as in Fig. 7."""
    titles = {"base": "Base step", "meta_train": "Meta-train", "meta_test": "Meta-test"}
    phases = [phase for phase in titles if any(name.startswith(f"{phase}/") for name in history)]
    figure, axes = plt.subplots(1, len(phases), figsize=(4.4 * len(phases), 4), squeeze=False)
    for axis, phase in zip(axes[0], phases, strict=True):
        for name, values in history.items():
            if name.startswith(f"{phase}/"):
                loss, steps = name.partition("/")[2], range(1, len(values) + 1)
                colour, line = LOSSES[loss]
                axis.plot(steps, values, color=colour, alpha=0.2, lw=1)
                axis.plot(steps, smoothed(values, width), color=colour, ls=line, label=loss)
        axis.set(title=titles[phase], xlabel="iteration", ylim=(0, None))
        axis.legend()
    axes[0, 0].set_ylabel("loss")
    return figure


def draw_step_sizes(sizes: Mapping[str, Sequence[float]]) -> Figure:
    """A panel for each step size over the iterations."""
    figure, axes = plt.subplots(1, len(sizes), figsize=(5.5 * len(sizes), 3.2), squeeze=False)
    for axis, (title, values) in zip(axes[0], sizes.items(), strict=True):
        axis.plot(range(1, len(values) + 1), values, color="#222222")
        axis.set(title=title, xlabel="iteration", ylim=(0, None))
    axes[0, 0].set_ylabel("step size")
    return figure


def draw_rho_history(iterations: Sequence[int], summaries: Tensor) -> Figure:
    """rho over time in each layer and, last, over all channels: mean, and the band that holds half of them, as in Fig. 11.

    summaries (T, layers + 1, 4), each of `analysis.rho_summary`.
    """
    count, look = summaries.shape[1], METHODS["metabin"]
    columns = min(count, 4)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.1 * columns, 2.3 * rows), sharex=True, sharey=True, squeeze=False
    )
    for i, axis in enumerate(axes.flat):
        if i >= count:
            axis.set_visible(False)
            continue
        mean_rho, low, _, high = summaries[:, i].T.numpy()  # (T,) each
        axis.fill_between(iterations, low, high, color=look.colour, alpha=0.25, lw=0)
        axis.plot(iterations, mean_rho, color=look.colour)
        axis.set_title("all channels" if i == count - 1 else f"layer {i + 1}", fontsize=13)
        axis.set(ylim=(0, 1.02), yticks=(0, 0.5, 1))
    for axis in axes[-1]:
        axis.set_xlabel("iteration")
    for axis in axes[:, 0]:
        axis.set_ylabel("ρ")
    return figure


def draw_costs(costs: Mapping[str, Sequence[float]]) -> Figure:
    """Where the time of an iteration goes: its parts' medians in one bar, in milliseconds, and each part's share."""
    looks = {
        "data": ("#DDDDDD", ""),
        "base step": ("#88CCEE", "//"),
        "meta-train": ("#DDCC77", ""),
        "meta-test": ("#CC6677", ".."),
    }
    medians = {part: 1000 * float(np.median(seconds)) for part, seconds in costs.items()}
    figure, axis = plt.subplots(figsize=(10, 3))
    left, total = 0.0, sum(medians.values())
    for part, width in medians.items():
        colour, hatch = looks[part]
        axis.barh(0, width, left=left, color=colour, hatch=hatch, label=f"{part}, {width:.0f} ms ({width / total:.0%})")
        left += width
    axis.set(xlabel="milliseconds of one iteration", yticks=[], xlim=(0, 1.02 * total))
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def draw_progress(iterations: Sequence[int], rates: Sequence[float], committed: Mapping[str, float]) -> Figure:
    """Rank-1 of a training MetaBIN over its iterations, and of finished networks as level lines."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    look = METHODS["metabin"]
    axis.plot(iterations, [100 * r for r in rates], color=look.colour, marker=look.marker, ms=14, label="this run")
    for method, rate in committed.items():
        other = METHODS[method]
        axis.axhline(
            100 * rate,
            color=other.colour,
            ls=other.line if method != "metabin" else ":",
            label=f"{other.name}, trained",
        )
    axis.set(xlabel="iteration", ylabel="Rank-1 (%)", ylim=(0, 100), xlim=(0, None))
    figure.legend(loc="outside right center")
    return figure


def draw_differences(rows: Mapping[str, Sequence[float]], label: str) -> Figure:
    """Differences with their intervals, (mean, low, high) as fractions, in points: what excludes 0 is drawn filled."""
    figure, axis = plt.subplots(figsize=(8.5, 0.55 * len(rows) + 1.5))
    for y, (middle, low, high) in enumerate(rows.values()):
        sure = low > 0 or high < 0
        axis.plot([100 * low, 100 * high], [y, y], color="#222222", lw=3)
        axis.plot(100 * middle, y, "o", ms=11, mfc="#222222" if sure else "white", mec="#222222", mew=2)
    axis.axvline(0, color="#999999", lw=1.5)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set(xlabel=label, ylim=(len(rows) - 0.5, -0.5))
    axis.grid(axis="y", visible=False)
    return figure


def draw_inner_step(
    changes: Mapping[str, Mapping[str, Tensor]], step_sizes: Sequence[float], titles: Mapping[str, str]
) -> Figure:
    """What an inner step changes, by its size: a panel for each quantity of `titles`, a line for each loss.

    changes: of `analysis.inner_step_changes`, loss -> quantity -> (sizes, 3); the bars are its intervals. rho's own move is
    drawn as it is, everything else in points (percent).
    """
    figure, axes = plt.subplots(1, len(titles), figsize=(4.1 * len(titles), 4.4), squeeze=False)
    for axis, (quantity, title) in zip(axes[0], titles.items(), strict=True):
        for i, (loss, values) in enumerate(changes.items()):
            colour, line = LOSSES[loss]
            middle, low, high = values[quantity].T.numpy() * (1 if quantity == "move" else 100)  # (sizes,) each
            x = np.arange(len(step_sizes)) + 0.14 * (i - 1)
            bars = [middle - low, high - middle]
            axis.errorbar(x, middle, bars, color=colour, ls=line, marker="osD"[i], elinewidth=1.6, label=loss)
        axis.axhline(0, color="#999999", lw=1.5, zorder=0)
        axis.set_xticks(range(len(step_sizes)), [f"{size:g}" for size in step_sizes])
        axis.set_xlabel("inner step size β")
        axis.set_title(title, fontsize=14)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(changes))
    return figure
