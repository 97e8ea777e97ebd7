"""Numbers about what networks and their balancing parameters do. `plotting` draws them."""

from metabin.runs.exports import exports

__getattr__, __all__ = exports(
    __name__,
    {
        "metabin.analysis.embedding_study": "embed_in_plane",
        "metabin.analysis.inner_step": "INNER_LOSSES first_harm inner_gradients"
        " inner_step_changes inner_step_effect inner_verdict",
        "metabin.analysis.readings": "chance cross_styles layer_features norm_layers"
        " random_styles read_linearly restyle style_and_identity",
        "metabin.analysis.retrieval_study": "camera_styles centred_by_camera chance_of_order"
        " middle_query pair_similarities rates_of_some similar_first",
        "metabin.analysis.rho": "parts_of rho_distribution rho_summary turns",
        "metabin.analysis.style_mixer": "Seen StyleMixer",
    },
)
