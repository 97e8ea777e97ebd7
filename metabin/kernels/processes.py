"""Several processes for one run, started by torchrun, on one machine or more: each with its own GPU, or on CPUs.

    torchrun --nproc-per-node 4 -m metabin train --profile paper --data-root ~/reid --protocol no_duke

Every process holds the whole model and, on a GPU, its own copy of the images (those on CPUs may map one cache file),
draws its own P x K images of each domain from streams of its own, and follows the mean of all processes' gradients: of the
weights, and of rho in the inner and in the outer step. So N processes have N times the images in a step, at the same step
size: `--lr` and `--ids-per-domain` are there to change either. Which domains are meta-train is the same everywhere.

Statistics are each process's own (then the first one's running statistics are kept), or with `--sync-stats` those of the
whole batch. With the latter, N processes compute what one would on all their images, as long as a loss is a mean over
images, as the cross-entropy is. Those that compare images don't: a process mines the hardest among its own images alone,
so that positives are nearer and negatives farther than in the whole batch; centroids and shuffles are its own, too.

The first process writes all files and lines. With a single process nothing here does anything.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.amp import GradScaler

from metabin.samplers import PKSampler

# ---- the processes ------------------------------------------------------------------------------------------------


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first_here() -> bool:
    """Whether this is the first process on its machine, the one that tells what went wrong there."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def processes() -> Iterator[torch.device | None]:
    """Inside, the processes that torchrun started know of each other; yields this one's device (None: started without).

    Raises ValueError when a machine has fewer GPUs than processes, ConnectionError when the others can't be reached.
    """
    if "LOCAL_WORLD_SIZE" not in os.environ:
        yield None
        return
    here, number, device = (
        int(os.environ["LOCAL_WORLD_SIZE"]),
        int(os.environ["LOCAL_RANK"]),
        torch.device("cpu"),
    )
    if gpus := torch.cuda.device_count():
        if here > gpus:
            raise ValueError(
                f"torchrun started {here} processes on a machine with {gpus} GPU{'s' * (gpus > 1)}: use "
                f"--nproc-per-node {gpus}, or train on its CPU with CUDA_VISIBLE_DEVICES= in front"
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo"
        )  # what the host must know waits for no GPU
        yield device
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not re.search(
            "peer|[Cc]onnect|[Tt]imed out", str(error)
        ):
            raise
        me = f"process {os.environ['RANK']} on {socket.gethostname()}"
        raise ConnectionError(
            f"{me} has lost the others: look for the line of the one that ended first"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def gather(value) -> list:
    """Every process's value, in their order."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def joined(values: list) -> list:
    """Every process's values in one list; `own_part` finds a process's own ones in it."""
    return [value for own in gather(values) for value in own]


def own_part(values: list) -> list:
    """This process's part of a list that `joined` made."""
    size = len(values) // world_size()
    return values[rank() * size : (rank() + 1) * size]


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
    """What `function` returns, called on each machine by its first process, then by its others, which find its caches.

    Raises in all processes what it raises in one.
    """
    if world_size() == 1:
        return function()
    result = error = None
    for turn in (True, False):
        if is_first_here() == turn:
            try:
                result = function()
            except Exception as raised:
                error = raised
        for found in filter(None, gather(error)):  # waits for all
            raise found
    return result


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The folder for the first process, and a temporary one for every other."""
    if rank() == 0:
        yield folder
        return
    with TemporaryDirectory() as other:
        yield Path(other)


# ---- what they draw -----------------------------------------------------------------------------------------------


def own_seed(seed: int) -> int:
    """A seed for this process alone, made of one for the run; the first process keeps the run's."""
    return _seeds(seed)[rank()] if rank() else seed


def agreed_streams(seed: int, own: Sequence[torch.Generator]) -> list[torch.Generator]:
    """Random streams that are the same in all processes, for what they decide together; a single one's are its `own`."""
    if world_size() == 1:
        return list(own)
    return [torch.Generator(stream.device).manual_seed(_seeds(seed)[0]) for stream in own]


def _seeds(seed: int) -> list[int]:
    return torch.randint(
        2**62, (world_size(),), generator=torch.Generator().manual_seed(seed)
    ).tolist()


class SameDomains:
    """A sampler whose batches hold the same domains in all processes, chosen by a stream that they share."""

    def __init__(self, sampler: PKSampler, agreed: torch.Generator):
        self.sampler, self.agreed = sampler, agreed
        self.num_domains, self.every = sampler.num_domains, sampler.unit_ranges

    def draw(self) -> Tensor:
        chosen = torch.randperm(len(self.every), generator=self.agreed)[: self.num_domains]
        self.sampler.unit_ranges = [self.every[domain] for domain in chosen.tolist()]
        return self.sampler.draw()  # (num_domains, P*K)


# ---- what they make of it together --------------------------------------------------------------------------------


class Sum(torch.autograd.Function):
    """A tensor's sum over all processes. Its gradient is the sum of theirs, to any order."""

    @staticmethod
    def forward(ctx, tensor):
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):
        return Sum.apply(gradient)


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each tensor's mean over all processes, in one transfer; can be differentiated."""
    if world_size() == 1 or not tensors:
        return list(tensors)
    flat = Sum.apply(torch.cat([tensor.flatten() for tensor in tensors])) / world_size()
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [
        part.view_as(tensor).to(tensor.dtype) for part, tensor in zip(parts, tensors, strict=True)
    ]


class AveragingScaler(GradScaler):
    """A scaler, which all steps go through, whose steps follow the mean of all processes' gradients.

    It is taken before the scaler looks for what has overflowed, so that all skip a step or none does.
    """

    def step(self, optimizer, *args, **kwargs):
        if world_size() > 1:
            parameters = (p for group in optimizer.param_groups for p in group["params"])
            gradients = [p.grad for p in parameters if p.grad is not None]
            torch._foreach_copy_(gradients, average(gradients))
        return super().step(optimizer, *args, **kwargs)


@torch.no_grad()
def copy_first(model: nn.Module) -> None:
    """Give every process the first one's weights and statistics."""
    if world_size() > 1:
        for tensor in model.state_dict().values():
            values = tensor.contiguous()
            dist.broadcast(values, 0)
            tensor.copy_(values)


def check_same(**values) -> None:
    """Raise ValueError, in all processes, when one of them has another value than the first."""
    for name, value in values.items():
        first, *others = gather(value)
        for number, other in enumerate(others, 1):
            if other != first:
                raise ValueError(
                    f"all processes need the same {name}: process {number} has {other}, the first {first}"
                )
