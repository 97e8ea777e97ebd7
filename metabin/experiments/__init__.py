"""Every table and figure of the paper as declarations, and what turns them into results: `python -m metabin tables`.

Settings are chosen on *development worlds* by leaving one source street out; the reported worlds have other seeds.
"""

from metabin.experiments.checkpoints import CHECKPOINTS
from metabin.experiments.declarations import EXPERIMENTS
from metabin.experiments.phase import phase_text
from metabin.experiments.results import RESULTS, paired, read_results
from metabin.experiments.rows import Experiment, Row
from metabin.experiments.runner import text
from metabin.experiments.spine import spine_table
from metabin.experiments.tasks import (
    FIRST,
    SPINE,
    chosen,
    development,
    far_streets,
    same_streets,
    single_street,
    supervised,
    trial,
    unseen_streets,
)

__all__ = [
    "CHECKPOINTS",
    "EXPERIMENTS",
    "FIRST",
    "RESULTS",
    "SPINE",
    "Experiment",
    "Row",
    "chosen",
    "development",
    "far_streets",
    "paired",
    "phase_text",
    "read_results",
    "same_streets",
    "single_street",
    "spine_table",
    "supervised",
    "text",
    "trial",
    "unseen_streets",
]
