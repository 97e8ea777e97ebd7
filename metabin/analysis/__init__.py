"""Numbers about what networks and their balancing parameters do. No drawing here: `plotting` turns them into figures."""

from metabin.analysis.inner_step import INNER_LOSSES, inner_gradients, inner_step_changes, inner_step_effect
from metabin.analysis.readings import (
    chance,
    cross_styles,
    layer_features,
    norm_layers,
    random_styles,
    read_linearly,
    restyle,
    style_and_identity,
)
from metabin.analysis.run import embed_in_plane, rho_distribution, rho_summary, step_costs

__all__ = [
    "INNER_LOSSES",
    "chance",
    "cross_styles",
    "embed_in_plane",
    "inner_gradients",
    "inner_step_changes",
    "inner_step_effect",
    "layer_features",
    "norm_layers",
    "random_styles",
    "read_linearly",
    "restyle",
    "rho_distribution",
    "rho_summary",
    "step_costs",
    "style_and_identity",
]
