"""What several processes of one run compute together; a single process computes it alone.

Every process draws its own images and follows the mean of all processes' gradients. A process
that was not started with others is number 0 of 1, and nothing here changes what it is given.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.amp import GradScaler


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def gather(value) -> list:
    """Every process's value, in their order."""
    if world_size() == 1:
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def gather_lists(values: list) -> list:
    """The lists of all processes in one; `scatter_list` finds a process's own values in it."""
    joined = []
    for of_process in gather(values):
        joined += of_process
    return joined


def scatter_list(values: list) -> list:
    """This process's values of a list that `gather_lists` made."""
    size = len(values) // world_size()
    return values[rank() * size : (rank() + 1) * size]


# ---- random streams ------------------------------------------------------------------------------


def process_seed(seed: int) -> int:
    """A seed for this process alone; the first process keeps the run's."""
    return _seeds(seed)[rank()] if rank() else seed


def shared_stream(seed: int, own: torch.Generator) -> torch.Generator:
    """A random stream that is the same in all processes; a single process has its `own`."""
    if world_size() == 1:
        return own
    return torch.Generator(own.device).manual_seed(_seeds(seed)[0])


def _seeds(seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2**62, (world_size(),), generator=generator).tolist()


# ---- sums and means ------------------------------------------------------------------------------


def total(tensor: Tensor) -> Tensor:
    """The sum over all processes; its gradient is the sum of theirs, to any order."""
    return _Sum.apply(tensor) if world_size() > 1 else tensor


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor):
        summed = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx, gradient):
        return _Sum.apply(gradient)


def average(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Each tensor's mean over all processes, in one transfer; can be differentiated."""
    if world_size() == 1 or not tensors:
        return list(tensors)
    flat = total(torch.cat([tensor.flatten() for tensor in tensors])) / world_size()
    pieces = flat.split([tensor.numel() for tensor in tensors])
    return [
        piece.view_as(tensor).to(tensor.dtype)
        for piece, tensor in zip(pieces, tensors, strict=True)
    ]


class GradientScaler(GradScaler):
    """torch's GradScaler, whose gradients are means over all processes.

    Disabled, as in every precision but fp16, it scales nothing.
    """

    def step(self, optimizer, *args, **kwargs):
        """Step with the mean of all processes' gradients.

        They are averaged before the scaler looks for overflow, so that all skip a step or none.
        """
        if world_size() > 1:
            gradients = []
            for group in optimizer.param_groups:
                gradients += [p.grad for p in group["params"] if p.grad is not None]
            torch._foreach_copy_(gradients, average(gradients))
        return super().step(optimizer, *args, **kwargs)

    def gradients(
        self, loss: Tensor, parameters: Sequence[Tensor], create_graph: bool = False
    ) -> list[Tensor]:
        """The gradients of a loss: in fp16 of the scaled loss, so that none is rounded to zero.

        A gradient that overflowed counts as zero.
        """
        gradients = torch.autograd.grad(
            self.scale(loss), list(parameters), create_graph=create_graph, materialize_grads=True
        )
        if self.is_enabled():
            scale = self.scale(torch.ones_like(loss))  # get_scale() would wait for the device
            gradients = [torch.where(g.isfinite(), g / scale, 0.0) for g in gradients]
        return average(gradients)


# ---- agreement -----------------------------------------------------------------------------------


def agree(model: nn.Module, settings: dict) -> None:
    """Let all processes begin with the first one's weights and statistics.

    Raises ValueError, in all processes, when they were asked for runs with other settings.
    """
    if world_size() == 1:
        return
    for name, value in settings.items():
        first, *others = gather(value)
        for number, other in enumerate(others, 1):
            if other != first:
                raise ValueError(
                    f"all processes need the same {name}: process {number} has {other}, "
                    f"the first {first}"
                )
    with torch.no_grad():
        for tensor in model.state_dict().values():
            values = tensor.contiguous()
            dist.broadcast(values, 0)
            tensor.copy_(values)
