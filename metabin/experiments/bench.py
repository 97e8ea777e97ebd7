"""What things cost on this machine, measured side by side: `python -m metabin bench`."""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from metabin.evaluate.retrieval import retrieval
from metabin.experiments.bench_training import print_training_costs
from metabin.meta import Batch, base_step
from metabin.networks.backbones import BACKBONES
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.runs.compiling import MODES
from metabin.runs.measuring import kept_bytes, median_ratio, paired_seconds, peak_bytes
from metabin.runs.provenance import provenance, write_json
from metabin.streets import World, make_streets

LAYER_SHAPES = (
    (80, 64, 128, 64),
    (80, 256, 64, 32),
    (80, 1024, 16, 8),
)  # ResNet-50's on 256 x 128 images
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


def layer_cost(
    shape: Sequence[int], device: torch.device, dtype: torch.dtype, memory_format, rounds: int
) -> dict:
    """Forward + backward of BN, BIN and the naive mix: ms of BN, ratios to it, bytes kept over the input's."""
    generator = torch.Generator(device).manual_seed(0)
    x, dy = (
        torch.randn(*shape, generator=generator, device=device).to(
            dtype, memory_format=memory_format
        )
        for _ in range(2)
    )  # (N, C, H, W)
    x.requires_grad_()
    bn, bin_, naive = (
        kind(shape[1]).to(device) for kind in (nn.BatchNorm2d, BatchInstanceNorm2d, TwoCalls)
    )
    nn.init.constant_(bin_.rho, 0.5)

    def step(layer):
        x.grad = None
        layer(x).backward(dy)

    times = paired_seconds(
        [lambda layer=layer: step(layer) for layer in (bn, bin_, naive)], device, rounds
    )
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
    print(
        "The layer, forward + backward: medians of paired ratios, and the bytes kept for backward over the input's"
    )
    print(
        LAYER_ROW.format(
            "shape",
            "dtype",
            "memory_format",
            "BN ms",
            "BIN/BN",
            "naive/BN",
            "BIN kept",
            "naive kept",
        )
    )
    rows = []
    for shape in LAYER_SHAPES:
        for dtype in dtypes:
            for memory_format in (torch.contiguous_format, torch.channels_last):
                rows.append(layer_cost(shape, device, dtype, memory_format, rounds))
                size, *words, ms, bin_, naive, bin_kept, naive_kept = rows[-1].values()
                numbers = (
                    f"{ms:.2f}",
                    f"{bin_:.2f}",
                    f"{naive:.2f}",
                    f"{bin_kept:.3f}",
                    f"{naive_kept:.3f}",
                )
                print(LAYER_ROW.format("x".join(map(str, size)), *words, *numbers), flush=True)
    return rows


def backbone_cost(name: str, device: torch.device, rounds: int) -> dict:
    """Table 6's specification of a backbone, and what a base step (Eq. 5) and an embedding cost on images of 256 x 128.

    On a GPU: 80 images (16 of each of 5 domains) in bfloat16; elsewhere 2. `kept` is what a forward pass keeps for
    backward, `peak` the GPU memory that a step takes beyond weights and images.
    """
    cuda = device.type == "cuda"
    labels = torch.arange(80 if cuda else 2, device=device) % 20
    images = torch.randn(len(labels), 3, 256, 128, generator=torch.Generator().manual_seed(0))
    batch = Batch(images.to(device, memory_format=torch.channels_last), labels, labels % 5)
    models = [
        build_model(norm, 20, name).to(device, memory_format=torch.channels_last)
        for norm in ("bn", "bin")
    ]
    rho = balancing_parameters(models[1]).values()

    def stepper(model: nn.Module) -> Callable[[], object]:
        weights = [
            p for key, p in model.named_parameters() if key not in balancing_parameters(model)
        ]
        optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
        return lambda: base_step(model, optimizer, batch)

    with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
        steps = [stepper(model) for model in models]
        bn, bin_ = paired_seconds(steps, device, rounds)
        bn_kept, bin_kept = (kept_bytes(model, batch.images) for model in models)
        bn_peak, bin_peak = map(peak_bytes, models, steps) if cuda else (None, None)
        [embedding] = paired_seconds([lambda: models[1].eval().embed(batch.images)], device, rounds)
    return {
        "backbone": name,
        "norms": len(rho),
        "rho": sum(map(torch.numel, rho)),
        "parameters": sum(map(torch.numel, models[1].extractor.parameters()))
        - sum(map(torch.numel, rho)),
        "images": len(labels),
        "bn_step_ms": 1e3 * statistics.median(bn),
        "bin_over_bn": median_ratio(bin_, bn),
        "bn_kept_mib": bn_kept / 2**20,
        "kept_over_bn": bin_kept / bn_kept,
        "bn_peak_mib": bn_peak and bn_peak / 2**20,
        "peak_over_bn": bn_peak and bin_peak / bn_peak,
        "bin_ms_per_image": 1e3 * statistics.median(embedding) / len(labels),
    }


def print_world_costs(device: torch.device) -> dict:
    """Seconds to draw the demo streets, and to rank Market-1501's queries against its gallery, with the peak memory."""
    start = time.perf_counter()
    drawn = sum(
        len(make_streets(World(), *ask))
        for ask in ((range(5), 120, 2, 4), (range(5, 11), 100, 2, 2))
    )
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    print(
        f"Retrieval at Market-1501's size, 3368 x 19732 x 2048: {seconds:.1f} s, Rank-1 {found.rank1:.1%}"
    )
    print(f"Peak memory of this whole process: {peak / 2**30:.2f} GiB")
    return {
        "streets_images": drawn,
        "streets_seconds": streets,
        "market_seconds": seconds,
        "peak_bytes": peak,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m metabin bench", description=__doc__)
    parser.add_argument(
        "--json",
        type=Path,
        help="also put the numbers into this file, beside what it holds of the rest",
    )
    parser.add_argument(
        "--training",
        action="store_true",
        help="measure an iteration of training instead of all else",
    )
    parser.add_argument(
        "--backbone", choices=BACKBONES, help="with --training (default MobileNetV2, x1.4 on a GPU)"
    )
    parser.add_argument("--size", nargs=2, type=int, metavar=("H", "W"), help="with --training")
    parser.add_argument(
        "--compile",
        choices=MODES,
        default="no",
        help="with --training: compiled as well, in minutes",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help="paired measurements of each case (default 15; of training 5, on a GPU 20)",
    )
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    found = {"provenance": provenance() | {"device": name, "threads": torch.get_num_threads()}}
    if options.training:
        costs = print_training_costs(
            device, options.backbone, options.size, options.rounds, options.compile
        )
        found = {
            "training": found | costs
        }  # with a provenance of its own beside what was measured at another time
    else:
        found["world"] = print_world_costs(
            device
        )  # first: the layer's large inputs would hide its peak memory
        found["layer"] = print_layer_costs(device, options.rounds or 15)
    if options.json:
        others = (
            json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        )
        write_json(options.json, others | found)
