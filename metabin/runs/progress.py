"""A long run's folder while it trains: its file of metrics, and how the run hears that it shall stop."""

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Self

import torch
from torch import nn
from tqdm import tqdm

from metabin.norm import balancing_parameters
from metabin.train import Step

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, nobody notices two runs in one folder
    fcntl = None


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Inside, Ctrl-C and SIGTERM stop nothing by themselves: they are noted in the list that this yields."""
    caught: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, frame: caught.append(number)) for kind in kinds]
    try:
        yield caught
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


class Progress:
    """The losses since the last line, and the file of lines, which belongs to this process until it is closed.

    A line holds step, lr, inner_lr, losses (each one's mean over the steps since the line before), rho's mean (None
    without rho) and the seconds of training. A step's losses stay on the device until `look`, which waits for it once.
    Raises OSError when the folder can't be written to, or when another process is training in it.
    """

    def __init__(self, folder: Path, every: int, total: int):
        self.every, self.total = every, total  # steps
        self.unseen: list[Step] = []  # whose losses are still on the device
        self.seen: dict[str, list[float]] = {}  # a loss's values that are not in a line yet
        self.last = 0, 0.0  # step and seconds of the line before
        self.saved: Path | None = None  # the last checkpoint
        self.began = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / "metrics.jsonl", "ab", buffering=0)
        try:
            if fcntl:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.close()
            raise OSError(
                f"another process is training in {folder}: give another --run-dir"
            ) from None
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()  # of a writer that was killed: nobody else writes here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error):
        self.file.close()

    def begin(self, iteration: int, state: dict):
        """Go on from a checkpoint's state ({}: from nothing). Lines that were written after it are removed."""
        self.file.truncate(min(state.get("bytes", 0), os.fstat(self.file.fileno()).st_size))
        self.seen = {name: list(values) for name, values in state.get("seen", {}).items()}
        self.last = iteration, state.get("seconds", 0.0)
        self.began = time.monotonic() - self.last[1]

    def state(self) -> dict:
        """What `begin` needs, after all that was written has reached the disk."""
        os.fsync(self.file.fileno())
        size = os.fstat(self.file.fileno()).st_size
        return {"bytes": size, "seen": self.seen, "seconds": time.monotonic() - self.began}

    def look(self):
        """Fetch the losses that are still on the device, at once. Raises FloatingPointError when one is not finite."""
        steps, self.unseen = self.unseen, []
        found = [
            (step.iteration, name, loss) for step in steps for name, loss in step.losses.items()
        ]
        values = torch.stack([loss.float() for _, _, loss in found]).tolist() if found else []
        for (iteration, name, _), value in zip(found, values, strict=True):
            if not math.isfinite(value):
                own = [
                    f"{n} {v:g}"
                    for (i, n, _), v in zip(found, values, strict=True)
                    if i == iteration
                ]
                raise FloatingPointError(
                    f"a loss is not finite at step {iteration}, found at step {steps[-1].iteration}: {', '.join(own)}"
                )
            self.seen.setdefault(name, []).append(value)

    def write(self, step: Step, model: nn.Module) -> tuple[str, str]:
        """Look, and write a line of metrics.jsonl. Returns how far and how fast the run is, and the losses, to be read."""
        self.look()
        seconds, rho = time.monotonic() - self.began, balancing_parameters(model).values()
        row = {"step": step.iteration, "lr": step.lr, "inner_lr": step.inner_lr}
        row["losses"] = {name: fmean(values) for name, values in self.seen.items()}
        row["rho"] = torch.cat([r.detach().flatten() for r in rho]).mean().item() if rho else None
        self.file.write(json.dumps(row | {"seconds": round(seconds, 3)}).encode() + b"\n")
        speed = (step.iteration - self.last[0]) / max(seconds - self.last[1], 1e-9)
        left = tqdm.format_interval((self.total - step.iteration) / speed)
        self.seen, self.last = {}, (step.iteration, seconds)
        losses = [f"rho {row['rho']:.4f}"] if rho else []
        losses += [f"{name} {value:.3f}" for name, value in row["losses"].items()]
        return f"step {step.iteration}/{self.total}  {speed:.2f} it/s  {left} left", "  ".join(
            losses
        )
