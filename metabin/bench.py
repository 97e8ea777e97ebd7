"""What things cost on this machine, measured side by side: `python -m metabin.bench`."""

import argparse
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from metabin.evaluate import retrieval
from metabin.norm import BatchInstanceNorm2d
from metabin.provenance import provenance, write_json
from metabin.streets import World, make_streets

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
    """Seconds of each function in each round; they take turns, so that other load and warm memory meet them alike."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    seconds = [[] for _ in functions]
    for turn in range(rounds + 1):  # the first round warms up
        for k in range(turn, turn + len(functions)):
            function, found = functions[k % len(functions)], seconds[k % len(functions)]
            synchronize()
            start = time.perf_counter()
            function()
            synchronize()
            found.append(time.perf_counter() - start)
    return [found[1:] for found in seconds]


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
    """Forward + backward of BN, BIN and the naive mix: ms of BN, ratios to it, bytes kept over the input's."""
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


def print_world_costs(device: torch.device) -> dict:
    """Seconds to draw the demo streets, and to rank Market-1501's queries against its gallery, with the peak memory."""
    start = time.perf_counter()
    drawn = sum(len(make_streets(World(), *ask)) for ask in ((range(5), 120, 2, 4), (range(5, 11), 100, 2, 2)))
    streets = time.perf_counter() - start
    print(f"The demo streets, {drawn} images of 64x32 drawn anew: {streets:.1f} s")

    generator = torch.Generator().manual_seed(0)
    people = torch.randn(751, 2048, generator=generator)
    sides = []
    for count in (3368, 19732):
        pids, camids = (torch.randint(n, (count,), generator=generator) for n in (751, 6))
        features = people[pids] + 4 * torch.randn(count, 2048, generator=generator)  # (count, 2048)
        sides.append((features.to(device), pids, camids))
    start = time.perf_counter()
    found = retrieval(*(part for parts in zip(*sides, strict=True) for part in parts))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"Retrieval at Market-1501's size, 3368 x 19732 x 2048: {seconds:.1f} s, Rank-1 {found.rank1:.1%}")
    print(f"Peak memory of this whole process: {peak / 2**30:.2f} GiB")
    return {"streets_images": drawn, "streets_seconds": streets, "market_seconds": seconds, "peak_bytes": peak}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m metabin.bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=15, help="paired measurements of each shape (default 15)")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    world = print_world_costs(device)  # first: the layer's large inputs would hide its peak memory
    found = {"provenance": provenance() | {"device": name, "threads": torch.get_num_threads()}, "world": world}
    found["layer"] = print_layer_costs(device, options.rounds)
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main()
