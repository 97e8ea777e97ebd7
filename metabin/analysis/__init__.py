"""Numbers about what networks and their balancing parameters do. `plotting` draws them."""

from metabin.analysis.embedding_study import embed_in_plane
from metabin.analysis.inner_step import (
    INNER_LOSSES,
    first_harm,
    inner_gradients,
    inner_step_changes,
    inner_step_effect,
    inner_verdict,
)
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
from metabin.analysis.retrieval_study import (
    camera_styles,
    centred_by_camera,
    chance_of_order,
    middle_query,
    pair_similarities,
    rates_of_some,
    similar_first,
)
from metabin.analysis.rho import parts_of, rho_distribution, rho_summary, turns
from metabin.analysis.style_mixer import Seen, StyleMixer

__all__ = [
    "INNER_LOSSES",
    "Seen",
    "StyleMixer",
    "camera_styles",
    "centred_by_camera",
    "chance",
    "chance_of_order",
    "cross_styles",
    "embed_in_plane",
    "first_harm",
    "inner_gradients",
    "inner_step_changes",
    "inner_step_effect",
    "inner_verdict",
    "layer_features",
    "middle_query",
    "norm_layers",
    "pair_similarities",
    "parts_of",
    "random_styles",
    "rates_of_some",
    "read_linearly",
    "restyle",
    "rho_distribution",
    "rho_summary",
    "similar_first",
    "style_and_identity",
    "turns",
]
