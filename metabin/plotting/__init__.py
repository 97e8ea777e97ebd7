"""How the course draws: `draw_*` functions, numbers in, Figure out; a file for each topic."""

from metabin.plotting.embeddings import (
    draw_distances,
    draw_figure3,
    draw_moments,
    draw_planes,
    draw_sensitivity,
    note,
)
from metabin.plotting.gradients import draw_figure5
from metabin.plotting.history import draw_history, draw_losses, draw_rho_history, smoothed
from metabin.plotting.mixer import draw_style_mixer
from metabin.plotting.results import (
    draw_comparison,
    draw_differences,
    draw_knob,
    draw_phase,
    draw_readings,
    draw_spine,
    draw_transfer,
)
from metabin.plotting.rho import draw_rho_layers
from metabin.plotting.style import LOOKS, LOSSES, STYLE, Look, save, to_picture, use_style
from metabin.plotting.tables import draw_curves, draw_table
from metabin.plotting.training import (
    draw_costs,
    draw_inner_step,
    draw_progress,
    draw_step_sizes,
)
from metabin.plotting.worlds import draw_balances, draw_pictures, draw_rankings, draw_two_channels

__all__ = [
    "LOSSES",
    "LOOKS",
    "STYLE",
    "Look",
    "draw_balances",
    "draw_comparison",
    "draw_costs",
    "draw_curves",
    "draw_differences",
    "draw_distances",
    "draw_figure3",
    "draw_figure5",
    "draw_history",
    "draw_inner_step",
    "draw_knob",
    "draw_losses",
    "draw_moments",
    "draw_phase",
    "draw_pictures",
    "draw_planes",
    "draw_progress",
    "draw_rankings",
    "draw_readings",
    "draw_rho_history",
    "draw_rho_layers",
    "draw_sensitivity",
    "draw_spine",
    "draw_step_sizes",
    "draw_style_mixer",
    "draw_table",
    "draw_transfer",
    "draw_two_channels",
    "note",
    "save",
    "smoothed",
    "to_picture",
    "use_style",
]
