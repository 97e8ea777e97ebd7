"""The committed numbers of the experiments: where they are, how they are read, how rows are compared."""

import json
from collections.abc import Mapping

from metabin.evaluate import paired_interval
from metabin.provenance import ROOT

RESULTS = ROOT / "figures" / "results"


def read_results(experiment: str) -> dict:
    """The committed numbers of an experiment. Raises FileNotFoundError with the command that makes them."""
    path = RESULTS / f"{experiment}.json"
    if not path.exists():
        raise FileNotFoundError(f"no results at {path}: run `make tables EXPERIMENT={experiment}` first")
    return json.loads(path.read_text())


def paired(a: Mapping, b: Mapping) -> dict:
    """Mean difference over seeds with its 95 % interval, [mean, low, high], for Rank-1 and mAP."""
    return {k: list(paired_interval([x - y for x, y in zip(a[k], b[k], strict=True)])) for k in ("rank1", "mAP")}
