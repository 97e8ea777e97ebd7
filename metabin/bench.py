"""What things cost on this machine, measured side by side: `python -m metabin.bench`."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from metabin.norm import BatchInstanceNorm2d

LAYER_SHAPES = (80, 64, 128, 64), (80, 256, 64, 32), (80, 1024, 16, 8)  # ResNet-50's on 256 x 128 images
LAYER_ROW = "{:>14} {:>9} {:>18} {:>8} {:>7} {:>9} {:>9} {:>11}"


class TwoCalls(nn.Module):
    """The naive layer: BN and IN one after the other, and their mix."""

    def __init__(self, num_features: int):
        super().__init__()
        self.batch = nn.BatchNorm2d(num_features)
        self.instance = nn.InstanceNorm2d(num_features, affine=True)
        self.rho = nn.Parameter(torch.full((num_features, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.rho * self.batch(x) + (1 - self.rho) * self.instance(x)


def paired_seconds(functions: Sequence[Callable[[], None]], device: torch.device, rounds: int) -> list[list[float]]:
    """Seconds of each function in each round; they take turns within a round, so that other load meets them alike."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = [[] for _ in functions]
    for turn in range(rounds + 1):  # the first round warms up
        for function, found in zip(functions, seconds, strict=True):
            synchronize()
            start = time.perf_counter()
            function()
            synchronize()
            if turn:
                found.append(time.perf_counter() - start)
    return seconds


def median_ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(seconds, reference, strict=True))


def kept_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, the layer's own parameters left out."""
    own = {parameter.data_ptr() for parameter in layer.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(x)  # alive until the sum is taken: a freed address would be counted once for two tensors
    total = sum(kept.values())
    del y
    return total


def layer_cost(shape: Sequence[int], device: torch.device, dtype: torch.dtype, memory_format, rounds: int) -> dict:
    """Forward + backward of BN, BIN and the naive mix on one input: ms of BN, ratios to it, bytes kept over the input's."""
    generator = torch.Generator(device).manual_seed(0)
    x, dy = (
        torch.randn(*shape, generator=generator, device=device).to(dtype, memory_format=memory_format) for _ in range(2)
    )  # (N, C, H, W)
    x.requires_grad_()
    bn, bin_, naive = (kind(shape[1]).to(device) for kind in (nn.BatchNorm2d, BatchInstanceNorm2d, TwoCalls))
    nn.init.constant_(bin_.rho, 0.5)

    def step(layer):
        x.grad = None
        layer(x).backward(dy)

    times = paired_seconds([lambda layer=layer: step(layer) for layer in (bn, bin_, naive)], device, rounds)
    return {
        "shape": list(shape),
        "dtype": str(dtype).removeprefix("torch."),
        "memory_format": str(memory_format).removeprefix("torch."),
        "bn_ms": 1e3 * statistics.median(times[0]),
        "bin_over_bn": median_ratio(times[1], times[0]),
        "naive_over_bn": median_ratio(times[2], times[0]),
        "bin_kept": kept_bytes(bin_, x) / x.nbytes,
        "naive_kept": kept_bytes(naive, x) / x.nbytes,
    }


def print_layer_costs(device: torch.device, rounds: int) -> list[dict]:
    dtypes = (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,)
    print("The layer, forward + backward: medians of paired ratios, and the bytes kept for backward over the input's")
    print(LAYER_ROW.format("shape", "dtype", "memory_format", "BN ms", "BIN/BN", "naive/BN", "BIN kept", "naive kept"))
    rows = []
    for shape in LAYER_SHAPES:
        for dtype in dtypes:
            for memory_format in (torch.contiguous_format, torch.channels_last):
                rows.append(layer_cost(shape, device, dtype, memory_format, rounds))
                size, *words, ms, bin_, naive, bin_kept, naive_kept = rows[-1].values()
                numbers = f"{ms:.2f}", f"{bin_:.2f}", f"{naive:.2f}", f"{bin_kept:.3f}", f"{naive_kept:.3f}"
                print(LAYER_ROW.format("x".join(map(str, size)), *words, *numbers), flush=True)
    return rows


def machine(device: torch.device) -> dict:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m metabin.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=15, help="paired measurements of each shape (default 15)")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {"machine": machine(device)}
    print(" · ".join(f"{key} {value}" for key, value in found["machine"].items()))
    found["layer"] = print_layer_costs(device, options.rounds)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
