"""Checkpoints: a run's whole state for resuming, and weights alone for sharing.

Files are written whole or not at all, and read without pickle. Where there are several processes
(`processes`), all save and load together, and the first one alone writes and reads.
"""

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from metabin.data.files import whole_file
from metabin.networks.model import ReIDModel, build_model
from metabin.runs import provenance
from metabin.runs.processes import by_first


class Damaged(ValueError):
    """A file that is cut off, holds other bytes than were written, or never was a checkpoint."""


@cache
def versions(device: str) -> dict[str, str]:
    """The versions and the kind of device that a run's last bit depends on."""
    return provenance.versions(("torch", "metabin")) | {"device": device}


def save_run(path: Path | str, run, metrics: dict | None = None) -> None:
    """Save all that a `train.Run` needs to go on bit-equally, and what its metrics need."""
    made_by = versions(run.device.type)
    state = {"run": run.state_dict(), "metrics": metrics or {}, "versions": made_by}

    def write():
        content = io.BytesIO()  # torch.save would hide a full disk's OSError behind another error
        torch.save(state, content)
        with whole_file(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    by_first(write)


def load_run(path: Path | str, run) -> dict:
    """Put a `train.Run` back where it was saved; returns the metrics and versions saved with it.

    On another kind of device it goes on, but not to the bit: what augments images begins anew.
    Raises FileNotFoundError; Damaged; ValueError when the file is no checkpoint, holds pickled
    code or is of another configuration. Then the run is as it was.
    """
    state = by_first(lambda: _read(path))
    keys, own = state.keys() if isinstance(state, dict) else (), run.state_dict()
    if keys != {"run", "metrics", "versions"} or state["run"].keys() != own.keys():
        raise ValueError(f"{path} is no checkpoint of a training run")
    saved = state.pop("run")
    # "auto" and what it was on a device are one precision, which the run compares.
    saved["config"]["precision"] = run.config.precision
    for name in ("base_batches", "meta_batches", "shared"):
        saved[name] = _own_where_they_differ(saved[name], own[name])
    try:
        run.load_state_dict(saved)
    except ValueError as error:
        raise ValueError(f"{path} is a checkpoint of another run: {error}") from None
    return state


def _own_where_they_differ(saved: list[Tensor], own: list[Tensor]) -> list[Tensor]:
    """Saved states of random streams; the run's own for those of another kind of device."""
    pairs = zip(saved, own, strict=False)  # another number of processes is refused later
    return [state if state.shape == other.shape else other for state, other in pairs]


def _read(path: Path | str) -> Any:
    """What `save_run` wrote.

    Raises FileNotFoundError, Damaged, or ValueError when the file holds pickled code.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip():  # torch.load takes whatever bytes there are
                raise zipfile.BadZipFile("a checksum differs")
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except UnpicklingError as error:
        message = f"{path} holds pickled code or is no checkpoint of this package"
        raise ValueError(message) from error
    except Exception as error:  # several unrelated types; each means the same to the reader
        raise Damaged(f"{path} is damaged or no checkpoint") from error


def checkpoints(folder: Path) -> list[Path]:
    """A folder's checkpoints, the newest step first."""
    paths = [path for path in folder.glob("step_*.pt") if path.stem[5:].isdecimal()]
    return sorted(paths, key=lambda path: int(path.stem[5:]), reverse=True)


def save_newest(folder: Path, run, metrics: dict | None = None) -> Path:
    """Save a run under its step's number; keep this checkpoint and the one before it."""
    path = folder / f"step_{run.iteration:06d}.pt"
    save_run(path, run, metrics)
    paths = by_first(lambda: checkpoints(folder))
    # One with a higher number was damaged, or the run wouldn't stand here.
    newest = paths.index(path)
    for other in paths[:newest] + paths[newest + 2 :]:
        other.unlink(missing_ok=True)  # by whichever process comes first
    return path


def load_newest(
    folder: Path, run, say: Callable[[str], object] = print
) -> tuple[Path, dict] | None:
    """Load the newest whole checkpoint and `say` which ones are damaged; None where there is none.

    Raises what `load_run` does, and Damaged when there are only damaged ones.
    """
    paths = by_first(lambda: checkpoints(folder))
    for path in paths:
        try:
            return path, load_run(path, run)
        except Damaged as error:
            say(f"{error}: passed over")
    if paths:
        raise Damaged(f"no checkpoint in {folder} is whole: remove them to begin anew")
    return None


def save_model(
    path: Path | str, model: ReIDModel, norm: str, backbone: str = "streetnet", **notes: str
) -> None:
    """Save the weights for retrieval (no classifier), with how to rebuild the model.

    The format is safetensors in half precision, but for statistics, which would leave its range.
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith("classifier."):
            tensors[name] = (tensor.half() if tensor.dim() > 1 else tensor).contiguous()
    notes = {"norm": norm, "backbone": backbone} | notes
    with whole_file(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"metabin": json.dumps(notes)}))


def load_model(path: Path | str) -> tuple[ReIDModel, dict[str, str]]:
    """A model for retrieval (its classifier is empty), in eval mode, and its notes.

    Raises FileNotFoundError, or ValueError that says what else than `save_model`'s a file is.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no weights at {path}")
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder: give the file in it, model.safetensors")
    notes, tensors = _read_model(path)
    try:
        notes = {"backbone": "streetnet"} | notes  # files of the first version don't say it
        with torch.random.fork_rng(devices=[]):
            model = build_model(notes["norm"], 1, notes["backbone"])
        model.load_state_dict(tensors | {"classifier.weight": model.classifier.weight})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        message = f"{path} does not fit the network that save_model noted in it: {error}"
        raise ValueError(message) from error
    return model.eval(), notes


def _read_model(path: Path | str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Notes and tensors of a file that `save_model` wrote."""
    if zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is a checkpoint or another file of torch.save: give what save_model wrote, "
            "which a run leaves beside its checkpoints as model.safetensors"
        )
    try:
        with safe_open(path, "pt") as file:
            notes = json.loads((file.metadata() or {}).get("metabin", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        message = f"{path} is damaged, or no safetensors file as save_model writes it: {error}"
        raise ValueError(message) from error
    if notes is None:
        raise ValueError(
            f"{path} holds {len(tensors)} tensors ({next(iter(tensors), '')}, …) without the notes "
            "of save_model: these are another project's weights, which a training can start from "
            "(--weights)"
        )
    return notes, tensors
