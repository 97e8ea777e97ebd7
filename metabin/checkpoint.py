"""Checkpoints: a run's whole state for resuming, and weights alone for sharing. Written atomically, read without pickle."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from metabin.model import ReIDModel, build_model


def _write_atomically(path: Path, write: Callable[[Path], None]):
    """Let `write` fill a temporary file beside `path`, flush it to the disk, then rename it: all or nothing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_run(path: Path | str, run):
    """Save all that a `train.Run` needs to go on bit-equally."""
    _write_atomically(path, lambda file: torch.save(run.state_dict(), file))


def load_run(path: Path | str, run):
    """Put a `train.Run` back where it was saved.

    Raises FileNotFoundError, or ValueError when the file is no checkpoint, holds pickled code or another configuration.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several unrelated types here; each means the same to the reader
        raise ValueError(f"{path} is damaged, holds pickled code or is no checkpoint of this package") from error
    if not isinstance(state, dict) or state.keys() != run.state_dict().keys():
        raise ValueError(f"{path} is no checkpoint of a training run")
    run.load_state_dict(state)


def save_model(path: Path | str, model: ReIDModel, norm: str, **notes: str):
    """Save the weights for retrieval (no classifier) as half-precision safetensors, with how to rebuild the model."""
    tensors = {
        name: (tensor.half() if tensor.dim() > 1 else tensor).contiguous()  # statistics would leave half's range
        for name, tensor in model.state_dict().items()
        if not name.startswith("classifier.")
    }
    notes = {"norm": norm} | notes
    _write_atomically(path, lambda file: save_file(tensors, file, metadata={"metabin": json.dumps(notes)}))


def load_model(path: Path | str) -> tuple[ReIDModel, dict[str, str]]:
    """A model for retrieval (its classifier is empty), in eval mode, and the notes it was saved with.

    Raises FileNotFoundError, or ValueError when the file was not written by `save_model`.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        with safe_open(path, "pt") as file:
            notes = json.loads(file.metadata()["metabin"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        with torch.random.fork_rng(devices=[]):
            model = build_model(notes["norm"], num_ids=1)
        model.load_state_dict(tensors | {"classifier.weight": model.classifier.weight})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} was not written by save_model, or is damaged: {error}") from error
    return model.eval(), notes
