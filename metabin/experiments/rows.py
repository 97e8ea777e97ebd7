"""What a declaration is made of: a row, and an experiment of rows and claims."""

from collections.abc import Callable
from dataclasses import dataclass, field

from metabin.experiments.tasks import FIRST, unseen_streets
from metabin.experiments.trials import Task


@dataclass(frozen=True)
class Row:
    """A row of a table, or a point of a curve.

    A step size is a multiple of the one chosen for its method, so that a row serves every profile.
    """

    name: str
    method: str  # of config.METHODS
    changes: dict = field(default_factory=dict)  # of its configuration
    inner: float | None = None  # a fixed inner step over its range's top; None: cyclic
    outer: float = 1.0  # the outer step over the chosen one
    task: Callable[[int], Task] = unseen_streets
    paper: tuple[float | None, ...] = ()  # Rank-1 and mAP in percent on four real data sets
    series: str = ""  # rows of one series stand together, or are one curve
    at: float | None = None  # where a point stands on its curve

    @property
    def plain(self) -> bool:
        """Whether it is its method without changes: then the oracle is fitted, too."""
        return not self.changes and self.inner is None and self.outer == 1


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    `claims` are pairs of rows, the first better than the second in the paper; the first pair is
    what it shows above all.
    """

    title: str
    rows: tuple[Row, ...]
    claims: tuple[tuple[str, str], ...]
    seeds: int = 5
    first: int = FIRST  # the first world's number
    axis: str = ""  # what a curve is drawn over
    keeps_rho: bool = False  # the report holds rho's distribution in every layer
