"""How time and memory are measured: side by side, in one run."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode


def paired_seconds(
    functions: Sequence[Callable[[], object]], device: torch.device, rounds: int
) -> list[list[float]]:
    """Seconds of each function in each round.

    They take turns, so that other load and warm memory meet them alike.
    """
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = [[] for _ in functions]
    for turn in range(rounds + 1):  # the first round warms up
        for k in range(turn, turn + len(functions)):
            which = k % len(functions)
            synchronize()
            start = time.perf_counter()
            functions[which]()
            synchronize()
            seconds[which].append(time.perf_counter() - start)
    return [of_function[1:] for of_function in seconds]


def median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """The median over rounds of a round's ratio."""
    return statistics.median(a / b for a, b in zip(seconds, reference, strict=True))


def limits(device: torch.device, rounds: int = 5) -> dict[str, float]:
    """What this machine can do at most, in a second: float operations, and bytes copied."""
    a = torch.ones(2048, 2048, device=device)
    x, y = (torch.ones(2**26, device=device) for _ in range(2))  # 256 MiB each
    product, copy = paired_seconds([lambda: a @ a, lambda: y.copy_(x)], device, rounds)
    return {"flops": 2 * 2048**3 / min(product), "bytes": 2 * x.nbytes / min(copy)}


def count_flops(function: Callable[[], object]) -> int:
    """Float operations of a function's convolutions and products.

    Of a forward pass only: torch's formulas for gradients forget groups.
    """
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def map_bytes(model: nn.Module, x: Tensor) -> int:
    """Bytes of all maps that a model's normalization layers get."""
    sizes, hooks = [], []
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            hook = layer.register_forward_pre_hook(lambda _, args: sizes.append(args[0].nbytes))
            hooks.append(hook)
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return sum(sizes)


def _addresses(module: nn.Module) -> set[int]:
    """Where a module's parameters lie in memory."""
    return {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}


@contextmanager
def kept_for_backward(module: nn.Module) -> Iterator[Callable[[], int]]:
    """Yield a function: bytes kept for backward since then, without parameters."""
    parameters = _addresses(module)
    kept = {}  # address -> storage, which stays alive: a freed address could serve two tensors

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield lambda: sum(storage.nbytes() for storage in kept.values())


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, without the layer's parameters."""
    with kept_for_backward(layer) as kept:
        layer(x)
        return kept()


class _Kept:
    """A saved tensor that tells a ledger of storages when it comes and when it goes."""

    def __init__(self, tensor: Tensor, ledger: dict):
        self.tensor, self.ledger, self.key = tensor, ledger, tensor.untyped_storage().data_ptr()
        size = tensor.untyped_storage().nbytes()
        holders = ledger["holders"]
        ledger["now"] += 0 if holders[self.key] else size
        holders[self.key] += 1
        ledger["most"] = max(ledger["most"], ledger["now"])

    def __del__(self):
        holders = self.ledger["holders"]
        holders[self.key] -= 1
        self.ledger["now"] -= 0 if holders[self.key] else self.tensor.untyped_storage().nbytes()


def most_kept(model: nn.Module, work: Callable[[], object]) -> int:
    """The most bytes that are kept for backward at any one time; parameters don't count."""
    parameters = _addresses(model)
    ledger = {"holders": Counter(), "now": 0, "most": 0}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() in parameters:
            return tensor
        return _Kept(tensor, ledger)

    def unpack(kept):
        return kept.tensor if isinstance(kept, _Kept) else kept

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        work()
    return ledger["most"]


def peak_bytes(module: nn.Module, function: Callable[[], object]) -> int:
    """GPU memory that a function takes at its peak, beyond what there is before it.

    The module's gradients are cleared first.
    """
    module.zero_grad()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    return torch.cuda.max_memory_allocated() - before
