"""How the course draws: `draw_*` functions, numbers in, Figure out; a file for each topic."""

from metabin.runs.exports import exports

__getattr__, __all__ = exports(
    __name__,
    {
        "metabin.plotting.claims": "draw_differences draw_differences_by_test",
        "metabin.plotting.embeddings": "draw_distances draw_figure3 draw_moments draw_planes"
        " draw_sensitivity note",
        "metabin.plotting.gradients": "draw_figure5",
        "metabin.plotting.history": "draw_history draw_inner_step draw_losses draw_progress"
        " draw_rho_history draw_rho_moment draw_schedules",
        "metabin.plotting.results": "draw_comparison draw_knob draw_phase draw_readings"
        " draw_three_tests draw_transfer",
        "metabin.plotting.retrieval": "draw_rank_lists",
        "metabin.plotting.rho": "draw_balances draw_rho_by_loss draw_rho_layers",
        "metabin.plotting.style": "LOOKS LOSSES STYLE Look save to_picture use_style",
        "metabin.plotting.tables": "draw_curves draw_table",
        "metabin.plotting.worlds": "draw_pictures draw_style_mixer draw_two_channels",
    },
)
