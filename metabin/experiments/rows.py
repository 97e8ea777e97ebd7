"""What a declaration is made of: a row, and an experiment of rows and claims."""

from collections.abc import Callable
from dataclasses import dataclass, field

from metabin.experiments.tasks import FIRST, same_streets, unseen_streets
from metabin.experiments.trials import Task


@dataclass(frozen=True)
class Row:
    """A row of a table, or a point of a curve."""

    name: str
    method: str  # of config.METHODS
    changes: dict = field(default_factory=dict)  # of its configuration
    inner: float | None = None  # a fixed inner step, as a multiple of its range's top; None: cyclic
    outer: float = 1.0  # the outer step, as a multiple of the one chosen
    task: Callable[[int], Task] = unseen_streets
    paper: tuple[float | None, ...] = ()  # printed Rank-1 and mAP
    series: str = ""  # rows of one series stand together, or are one curve
    at: float | None = None  # where a point stands on its curve

    @property
    def plain(self) -> bool:
        """Whether it is its method as it is: then the oracle is fitted, too."""
        return (
            not self.changes
            and self.inner is None
            and self.outer == 1
            and self.task is not same_streets
        )


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper. `claims` are pairs of rows, the first better than the second in the paper; the first
    pair is what the paper shows above all.
    """

    title: str
    rows: tuple[Row, ...]
    claims: tuple[tuple[str, str], ...]
    seeds: int = 5
    first: int = FIRST  # the first world's number
    axis: str = ""  # what a curve is drawn over
    keeps_rho: bool = False  # the share of channels by rho in every layer goes into the report
