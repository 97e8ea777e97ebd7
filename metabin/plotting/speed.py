"""How near training is to what the machine could do (lesson 06)."""

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt

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
        arithmetic = 1e12 * _amount(row["gflop"], phase) / limits["flops"]
        copies = 1e12 * _amount(row["norms_gb"], phase) / limits["bytes"]
        rest = row[f"{phase.replace('-', '_')}_ms"] - arithmetic - copies
        parts[phase] = [arithmetic, copies, rest]
    return parts


def _amount(amounts: Mapping[str, float], phase: str) -> float:
    """The bench counts both meta phases together ("meta") and meta-train alone."""
    if phase == "meta-test":
        return amounts["meta"] - amounts["meta-train"]
    return amounts[phase]


def draw_speed(row: Mapping, limits: Mapping[str, float]) -> plt.Figure:
    """What each phase takes, and what its convolutions and norms must take on this machine."""
    parts = phase_parts(row, limits)
    widths = np.array(list(parts.values())).clip(min=0)  # (phases, shares)
    ends = widths.cumsum(1)
    figure, axis = plt.subplots(figsize=(10, 3.6))
    for i, (name, (colour, hatch)) in enumerate(SHARES.items()):
        look = {"color": colour, "hatch": hatch, "edgecolor": INK, "label": name}
        axis.barh(list(parts), widths[:, i], 0.6, ends[:, i] - widths[:, i], **look)
    for y, part in enumerate(parts.values()):
        total, least = sum(part), sum(part[:2])
        text = f"  {total:.0f} ms, {total / least:.1f} × the least"
        axis.text(ends[y, -1], y, text, va="center")
    axis.invert_yaxis()
    axis.set(xlabel="milliseconds of one iteration", xlim=(0, 1.4 * ends.max()))
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
