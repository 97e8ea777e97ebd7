"""Every table and figure of the paper as a declaration, and what makes reports of them.

Settings are chosen on *development worlds* by leaving one source street out; the reported worlds
have other seeds. `python -m metabin tables` runs them.
"""

from importlib import import_module

_EXPORTS = {
    "metabin.analysis.networks": ["CHECKPOINTS", "load_network"],
    "metabin.experiments.declarations": ["EXPERIMENTS"],
    "metabin.experiments.finished": [
        "finished_difference",
        "finished_gains",
        "finished_metrics",
        "finished_table",
    ],
    "metabin.experiments.results": ["RESULTS", "paired", "read_results"],
    "metabin.experiments.rows": ["Experiment", "Row"],
    "metabin.experiments.runner": ["experiment_text"],
    "metabin.experiments.tasks": [
        "FIRST",
        "SPINE",
        "at_home",
        "chosen",
        "development",
        "far_away",
        "far_streets",
        "lesson_streets",
        "lesson_trial",
        "single_street",
        "supervised",
        "trial",
        "unseen_streets",
    ],
}
_HOMES = {name: module for module, names in _EXPORTS.items() for name in names}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Import a name's module when the name is first used: `--help` must not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
