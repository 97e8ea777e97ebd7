"""How near training is to what the machine could do (lesson 06)."""

from collections.abc import Mapping

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from metabin.plotting.style import INK

SHARES = {  # of a phase: colour and hatch, none of them a method's or a loss's
    "convolutions, as one product": ("#BBCC33", "//"),
    "norm layers, as one copy": ("#FFAABB", ".."),
    "all else": ("#FFFFFF", ""),
}


def phase_parts(row: Mapping, limits: Mapping[str, float]) -> dict[str, list[float]]:
    """Milliseconds of each phase: its convolutions and norms at the machine's speed, and the rest.

    row: one of bench.json's training rows. limits: operations ("flops") and bytes a second. The
    rest is below 0 where the phase is faster than memory allows: maps that fit into a cache needn't
    come from there.
    """
    parts = {}
    for phase in ("base", "meta-train", "meta-test"):
        least = [
            1e12 * _amount(row["gflop"], phase) / limits["flops"],
            1e12 * _amount(row["norms_gb"], phase) / limits["bytes"],
        ]
        parts[phase] = [*least, row[f"{phase.replace('-', '_')}_ms"] - sum(least)]
    return parts


def _amount(amounts: Mapping[str, float], phase: str) -> float:
    """The bench counts both meta phases together ("meta") and meta-train alone."""
    if phase == "meta-test":
        return amounts["meta"] - amounts["meta-train"]
    return amounts[phase]


def draw_speed(row: Mapping, limits: Mapping[str, float]) -> Figure:
    """What each phase takes, and what its convolutions and norms must take on this machine."""
    parts = phase_parts(row, limits)
    figure, axis = plt.subplots(figsize=(10, 3.6))
    left = [0.0] * len(parts)
    rows = range(len(parts))
    by_share = zip(*parts.values(), strict=True)
    for (name, (colour, hatch)), widths in zip(SHARES.items(), by_share, strict=True):
        shown = [max(width, 0.0) for width in widths]
        look = {"color": colour, "hatch": hatch, "edgecolor": INK}
        axis.barh(rows, shown, 0.6, left, label=name, **look)
        left = [start + width for start, width in zip(left, shown, strict=True)]
    for y, (end, (arithmetic, copies, rest)) in enumerate(zip(left, parts.values(), strict=True)):
        least = arithmetic + copies
        text = f"  {least + rest:.0f} ms, {(least + rest) / least:.1f} × the least"
        axis.text(end, y, text, va="center")
    axis.set_yticks(rows, parts)
    axis.invert_yaxis()
    axis.set(xlabel="milliseconds of one iteration", xlim=(0, 1.4 * max(left)))
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
