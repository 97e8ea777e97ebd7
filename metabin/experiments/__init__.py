"""Every table and figure of the paper as a declaration, and what makes reports of them.

Settings are chosen on *development worlds* by leaving one source street out; the reported worlds
have other seeds. `python -m metabin tables` runs them.
"""

from metabin.runs.exports import exports

__getattr__, __all__ = exports(
    __name__,
    {
        "metabin.analysis.networks": "load_network",
        "metabin.experiments.declarations": "EXPERIMENTS",
        "metabin.experiments.finished": "finished_difference finished_gains finished_metrics"
        " finished_table",
        "metabin.experiments.results": "read_results",
        "metabin.experiments.tasks": "FIRST SPINE at_home chosen far_away lesson_streets"
        " lesson_trial unseen_streets",
    },
)
