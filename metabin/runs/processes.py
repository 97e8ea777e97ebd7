"""Several processes for one run, started by torchrun, each with its own GPU, or on CPUs.

    torchrun --nproc-per-node 4 -m metabin train --profile paper --data-root ~/reid

Every process holds the whole model and, on a GPU, its own copy of the images (those on CPUs may
map one cache file). It draws its own P x K images of each domain from streams of its own, and
follows the mean of all processes' gradients: of the weights, and of rho in the inner and in the
outer step. So N processes have N times the images in a step, at the same step size: `--lr` and
`--ids-per-domain` are there to change either. Which domains are meta-train is the same everywhere.

Statistics are each process's own (then the first one's running statistics are kept), or with
`--sync-stats` those of the whole batch. With the latter, N processes compute what one would on all
their images, as long as a loss is a mean over images, as the cross-entropy is. A loss that
compares images mines the hardest among a process's own; centroids and shuffles are its own, too.

The first process writes all files and lines. With a single process nothing here does anything.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from metabin.kernels.collectives import gather, rank, world_size


def is_first_of_machine() -> bool:
    """Whether this is its machine's first process, which says what went wrong there."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def is_first() -> bool:
    """Whether this is the first of all processes, also when they have parted."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def join_processes() -> Iterator[torch.device | None]:
    """Within the block, the processes that torchrun started can exchange values.

    Yields this process's device; None where torchrun did not start it. Raises ValueError when a
    machine has fewer GPUs than processes, ConnectionError when the others cannot be reached.
    """
    if "LOCAL_WORLD_SIZE" not in os.environ:
        yield None
        return
    device = _device()
    try:
        # What the host must know waits for no GPU.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        yield device
    except RuntimeError as error:
        lost = re.search("peer|[Cc]onnect|[Tt]imed out", str(error))
        if not lost and not isinstance(error, dist.DistError):
            raise
        process = f"process {os.environ['RANK']} on {socket.gethostname()}"
        raise ConnectionError(
            f"{process} has lost the others: look for the line of the one that ended first"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _device() -> torch.device:
    """This process's GPU, or the CPU on a machine without GPUs."""
    num_gpus, num_processes = torch.cuda.device_count(), int(os.environ["LOCAL_WORLD_SIZE"])
    if not num_gpus:
        return torch.device("cpu")
    if num_processes > num_gpus:
        gpus = "1 GPU" if num_gpus == 1 else f"{num_gpus} GPUs"
        raise ValueError(
            f"torchrun started {num_processes} processes on a machine with {gpus}: use "
            f"--nproc-per-node {num_gpus}, or train on its CPU with CUDA_VISIBLE_DEVICES= in front"
        )
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def largest(*values: float) -> list[float]:
    """Of each value the largest that a process has, so that all decide alike."""
    if world_size() == 1:
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return shared.tolist()


def by_first(function: Callable):
    """What `function` returns or raises in the first process, in every process."""
    if world_size() == 1:
        return function()
    outcome = [None, None]
    if rank() == 0:
        try:
            outcome[0] = function()
        except Exception as error:
            outcome[1] = error
    dist.broadcast_object_list(outcome)
    if outcome[1]:
        raise outcome[1]
    return outcome[0]


def after_the_first(function: Callable):
    """What `function` returns, called by each machine's first process, then by its others.

    The others find the first one's caches.

    Raises in all processes what it raises in one.
    """
    if world_size() == 1:
        return function()
    result = error = None
    for turn in (True, False):
        if is_first_of_machine() == turn:
            try:
                result = function()
            except Exception as raised:
                error = raised
        for failure in filter(None, gather(error)):  # waits for all
            raise failure
    return result


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """The folder for the first process, and a temporary one for every other."""
    if rank() == 0:
        yield folder
        return
    with TemporaryDirectory() as other:
        yield Path(other)
