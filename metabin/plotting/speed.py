"""How near training is to what the machine could do (lesson 06)."""

from collections.abc import Mapping

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from metabin.plotting.style import INK

SHARES = {
    "convolutions, as one product": ("#BBCC33", "//"),
    "norm layers, as one copy": ("#FFAABB", ".."),
    "all else": ("#FFFFFF", ""),
}


def phase_parts(row: Mapping, limits: Mapping[str, float]) -> dict[str, list[float]]:
    """Milliseconds of each phase: its convolutions' operations and its norms' bytes at the machine's speed, and the rest.

    row: one of bench.json's training rows; limits: operations and bytes a second. The rest is below 0 where the phase is
    faster than such a copy: maps that fit into a cache needn't come from the memory.
    """
    parts = {}
    for phase in ("base", "meta-train", "meta-test"):
        gflop, gigabytes = (
            row[kind]["meta"] - row[kind]["meta-train"]
            if phase == "meta-test"
            else row[kind][phase]
            for kind in ("gflop", "norms_gb")
        )
        least = [1e12 * gflop / limits["flops"], 1e12 * gigabytes / limits["bytes"]]
        parts[phase] = [*least, row[f"{phase.replace('-', '_')}_ms"] - sum(least)]
    return parts


def draw_speed(row: Mapping, limits: Mapping[str, float]) -> Figure:
    """What each phase takes, what its convolutions and norm layers must take on this machine, and the times between."""
    parts = phase_parts(row, limits)
    figure, axis = plt.subplots(figsize=(10, 3.6))
    left = [0.0] * len(parts)
    for (name, (colour, hatch)), widths in zip(
        SHARES.items(), zip(*parts.values(), strict=True), strict=True
    ):
        shown = [max(width, 0.0) for width in widths]
        axis.barh(
            range(len(parts)),
            shown,
            0.6,
            left,
            color=colour,
            hatch=hatch,
            edgecolor=INK,
            label=name,
        )
        left = [start + width for start, width in zip(left, shown, strict=True)]
    for y, (end, (arithmetic, copies, rest)) in enumerate(zip(left, parts.values(), strict=True)):
        least = arithmetic + copies
        axis.text(
            end,
            y,
            f"  {least + rest:.0f} ms, {(least + rest) / least:.1f} × the least",
            va="center",
        )
    axis.set_yticks(range(len(parts)), parts)
    axis.invert_yaxis()
    axis.set(xlabel="milliseconds of one iteration", xlim=(0, 1.4 * max(left)))
    axis.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
