"""The lessons' networks: where they lie, and how they are loaded."""

from pathlib import Path

from metabin.networks.model import ReIDModel
from metabin.runs.checkpoints import load_model
from metabin.runs.provenance import ROOT

CHECKPOINTS = ROOT / "data" / "checkpoints"
ON_THE_WAY = (10, 40)  # percent of the schedule: also kept of every method but "half"


def network_file(method: str, percent: int = 100, folder: Path = CHECKPOINTS) -> Path:
    """Where a network lies after so many percent of its training."""
    name = method if percent == 100 else f"{method}_at_{percent}"
    return folder / f"{name}.safetensors"


def load_network(method: str, percent: int = 100, folder: Path = CHECKPOINTS) -> ReIDModel:
    """A network at the end of its training or after one of ON_THE_WAY, or FileNotFoundError."""
    return load_model(network_file(method, percent, folder))[0]
