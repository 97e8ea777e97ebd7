"""Checkpoints: a run's whole state for resuming, and weights alone for sharing. Written atomically, read without pickle.

Where there are several processes (`distributed`), all save and load together, and the first one alone writes and reads.
"""

import io
import json
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from metabin.kernels.processes import by_first
from metabin.networks.model import ReIDModel, build_model


class Damaged(ValueError):
    """A file that was a checkpoint once, or never became one: cut off, or with other bytes than were written."""


def _write_atomically(path: Path | str, content: bytes | memoryview):
    """Write a temporary file beside `path`, flush it to the disk, then rename it: all or nothing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(
        OSError
    ):  # the new name is on the disk too; Windows and some network disks can't do this
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@cache
def versions() -> dict[str, str]:
    """The versions that a run's last bit depends on."""
    return {d.name: d.version for d in distributions() if d.name in ("torch", "metabin")}


def save_run(path: Path | str, run, metrics: dict | None = None):
    """Save all that a `train.Run` needs to go on bit-equally, and what its metrics need: plain values only."""
    state = {"run": run.state_dict(), "metrics": metrics or {}, "versions": versions()}

    def write():
        whole = io.BytesIO()  # torch.save would hide a full disk's OSError behind another error
        torch.save(state, whole)
        _write_atomically(path, whole.getbuffer())

    by_first(write)


def _read(path: Path | str) -> dict:
    """What `save_run` wrote. Raises FileNotFoundError, Damaged, or ValueError when the file holds pickled code."""
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
        raise ValueError(
            f"{path} holds pickled code or is no checkpoint of this package"
        ) from error
    except Exception as error:  # several unrelated types; each means the same to the reader
        raise Damaged(f"{path} is damaged or no checkpoint") from error


def load_run(path: Path | str, run) -> dict:
    """Put a `train.Run` back where it was saved; returns the metrics and versions that it was saved with.

    Raises FileNotFoundError; Damaged; or ValueError when the file is no checkpoint, holds pickled code or is of another
    configuration. Then the run is as it was.
    """
    state = by_first(lambda: _read(path))
    parts = state.keys() if isinstance(state, dict) else ()
    if parts != {"run", "metrics", "versions"} or state["run"].keys() != run.state_dict().keys():
        raise ValueError(f"{path} is no checkpoint of a training run")
    try:
        run.load_state_dict(state.pop("run"))
    except ValueError as error:
        raise ValueError(f"{path} is a checkpoint of another run: {error}") from None
    return state


def checkpoints(folder: Path) -> list[Path]:
    """A folder's checkpoints, the newest step first."""
    found = [path for path in folder.glob("step_*.pt") if path.stem[5:].isdecimal()]
    return sorted(found, key=lambda path: int(path.stem[5:]), reverse=True)


def save_newest(folder: Path, run, metrics: dict | None = None) -> Path:
    """Save a run under its step's number and remove all but this checkpoint and the one before it."""
    path = folder / f"step_{run.iteration:06d}.pt"
    save_run(path, run, metrics)
    names = by_first(lambda: checkpoints(folder))
    place = names.index(
        path
    )  # whatever has a higher number was damaged, or the run wouldn't stand here
    for other in names[:place] + names[place + 2 :]:
        other.unlink(missing_ok=True)  # by whichever process comes first
    return path


def load_newest(
    folder: Path, run, say: Callable[[str], object] = print
) -> tuple[Path, dict] | None:
    """Load the newest whole checkpoint, and `say` which ones are damaged; None where there is none.

    Raises what `load_run` does, and Damaged when there are only damaged ones.
    """
    names = by_first(lambda: checkpoints(folder))
    for path in names:
        try:
            return path, load_run(path, run)
        except Damaged as error:
            say(f"{error}: passed over")
    if names:
        raise Damaged(f"no checkpoint in {folder} is whole: remove them to begin anew")
    return None


def save_model(
    path: Path | str, model: ReIDModel, norm: str, backbone: str = "streetnet", **notes: str
):
    """Save the weights for retrieval (no classifier) as half-precision safetensors, with how to rebuild the model."""
    tensors = {
        name: (
            tensor.half() if tensor.dim() > 1 else tensor
        ).contiguous()  # statistics would leave half's range
        for name, tensor in model.state_dict().items()
        if not name.startswith("classifier.")
    }
    notes = {"norm": norm, "backbone": backbone} | notes
    _write_atomically(path, save(tensors, metadata={"metabin": json.dumps(notes)}))


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
            model = build_model(
                notes["norm"], 1, notes.get("backbone", "streetnet")
            )  # older files are StreetNets
        model.load_state_dict(tensors | {"classifier.weight": model.classifier.weight})
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} was not written by save_model, or is damaged: {error}") from error
    return model.eval(), notes
