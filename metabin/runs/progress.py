"""A long run's folder while it trains: its file of metrics, and how the run hears that it stops."""

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
    """Within the block, Ctrl-C and SIGTERM are only noted, in the list that this yields."""
    caught: list[int] = []
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda number, frame: caught.append(number)) for kind in kinds]
    try:
        yield caught
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


class Progress:
    """The losses since the last line, and the file of lines, locked until it is closed.

    A line of metrics.jsonl holds step, lr, inner_lr, losses (each one's mean over the steps since
    the line before), rho's mean (None without rho) and the seconds of training. A step's losses
    stay on the device until `fetch_losses`, which waits for it once.
    Raises OSError when the folder can't be written to or another process is training in it.
    """

    def __init__(self, folder: Path, every: int, total: int):
        self.every, self.total = every, total  # steps
        self.pending: list[Step] = []  # steps whose losses are still on the device
        self.losses: dict[str, list[float]] = {}  # values since the last line, by loss
        self.last = 0, 0.0  # step and seconds of the last line
        self.saved: Path | None = None  # the last checkpoint
        self.began = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = open(folder / "metrics.jsonl", "ab", buffering=0)
        try:
            if fcntl:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.close()
            message = f"another process is training in {folder}: give another --run-dir"
            raise OSError(message) from None
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink()  # of a writer that was killed: nobody else writes here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self.file.close()

    def begin(self, iteration: int, state: dict) -> None:
        """Go on from a checkpoint's state ({}: from nothing); later lines are removed."""
        self.file.truncate(min(state.get("bytes", 0), os.fstat(self.file.fileno()).st_size))
        self.losses = {name: list(values) for name, values in state.get("losses", {}).items()}
        self.last = iteration, state.get("seconds", 0.0)
        self.began = time.monotonic() - self.last[1]

    def state(self) -> dict:
        """What `begin` needs, after all lines have reached the disk."""
        os.fsync(self.file.fileno())
        size = os.fstat(self.file.fileno()).st_size
        return {"bytes": size, "losses": self.losses, "seconds": time.monotonic() - self.began}

    def fetch_losses(self) -> None:
        """Fetch all losses that are still on the device, in one transfer.

        Raises FloatingPointError when one is not finite.
        """
        steps, self.pending = self.pending, []
        if not steps:
            return
        losses = [loss.float() for step in steps for loss in step.losses.values()]
        values = iter(torch.stack(losses).tolist())
        for step in steps:
            of_step = dict(zip(step.losses, values, strict=False))
            if not all(map(math.isfinite, of_step.values())):
                listed = ", ".join(f"{name} {value:g}" for name, value in of_step.items())
                raise FloatingPointError(
                    f"a loss is not finite at step {step.iteration}, "
                    f"noticed at step {steps[-1].iteration}: {listed}"
                )
            for name, value in of_step.items():
                self.losses.setdefault(name, []).append(value)

    def write(self, step: Step, model: nn.Module) -> tuple[str, str]:
        """Write a line of metrics.jsonl; returns the pace and the losses as words."""
        self.fetch_losses()
        seconds, rho = time.monotonic() - self.began, balancing_parameters(model).values()
        row = {"step": step.iteration, "lr": step.lr, "inner_lr": step.inner_lr}
        row["losses"] = {name: fmean(values) for name, values in self.losses.items()}
        row["rho"] = torch.cat([r.detach().flatten() for r in rho]).mean().item() if rho else None
        self.file.write(json.dumps(row | {"seconds": round(seconds, 3)}).encode() + b"\n")
        speed = (step.iteration - self.last[0]) / max(seconds - self.last[1], 1e-9)
        left = tqdm.format_interval((self.total - step.iteration) / speed)
        self.losses, self.last = {}, (step.iteration, seconds)
        words = [f"rho {row['rho']:.4f}"] if rho else []
        words += [f"{name} {value:.3f}" for name, value in row["losses"].items()]
        pace = f"step {step.iteration}/{self.total}  {speed:.2f} it/s  {left} left"
        return pace, "  ".join(words)
