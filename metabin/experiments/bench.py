"""What the layer, the backbones and the streets cost on this machine, measured side by side."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import Tensor, nn

from metabin.evaluate.retrieval import retrieval
from metabin.meta import base_step
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.runs.measuring import kept_bytes, median_ratio, paired_seconds, peak_bytes
from metabin.samplers import Batch
from metabin.streets import World, make_streets

# ResNet-50's maps on images of 256 x 128
LAYER_SHAPES = ((80, 64, 128, 64), (80, 256, 64, 32), (80, 1024, 16, 8))
LAYER_ROW = "{:>14} {:>9} {:>18} {:>8} {:>7} {:>9} {:>9} {:>11}"
LAYER_HEADS = "shape,dtype,memory_format,BN ms,BIN/BN,naive/BN,BIN kept,naive kept".split(",")


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
    """What forward and backward of BN, BIN and the naive mix cost.

    Milliseconds of BN, ratios to it, and bytes kept for backward over the input's.
    """
    generator = torch.Generator(device).manual_seed(0)
    x, dy = (torch.randn(*shape, generator=generator, device=device) for _ in range(2))
    x, dy = (y.to(dtype, memory_format=memory_format) for y in (x, dy))  # (N, C, H, W)
    x.requires_grad_()
    kinds = (nn.BatchNorm2d, BatchInstanceNorm2d, TwoCalls)
    layers = [kind(shape[1]).to(device) for kind in kinds]
    _, bin_layer, naive_layer = layers
    nn.init.constant_(bin_layer.rho, 0.5)

    def step_of(layer: nn.Module) -> Callable[[], None]:
        def step():
            x.grad = None
            layer(x).backward(dy)

        return step

    bn, bin_, naive = paired_seconds([step_of(layer) for layer in layers], device, rounds)
    return {
        "shape": list(shape),
        "dtype": str(dtype).removeprefix("torch."),
        "memory_format": str(memory_format).removeprefix("torch."),
        "bn_ms": 1e3 * median(bn),
        "bin_over_bn": median_ratio(bin_, bn),
        "naive_over_bn": median_ratio(naive, bn),
        "bin_kept": kept_bytes(bin_layer, x) / x.nbytes,
        "naive_kept": kept_bytes(naive_layer, x) / x.nbytes,
    }


def print_layer_costs(device: torch.device, rounds: int) -> list[dict]:
    dtypes = (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,)
    formats = (torch.contiguous_format, torch.channels_last)
    print("The layer, forward + backward: medians of paired ratios, and what is kept for backward")
    print("over the input's bytes")
    print(LAYER_ROW.format(*LAYER_HEADS))
    rows = []
    for shape in LAYER_SHAPES:
        for dtype in dtypes:
            for memory_format in formats:
                row = layer_cost(shape, device, dtype, memory_format, rounds)
                size, *words, ms, bin_, naive, bin_kept, naive_kept = row.values()
                times = [f"{x:.2f}" for x in (ms, bin_, naive)]
                kept = [f"{x:.3f}" for x in (bin_kept, naive_kept)]
                name = "x".join(map(str, size))
                print(LAYER_ROW.format(name, *words, *times, *kept), flush=True)
                rows.append(row)
    return rows


def backbone_cost(name: str, device: torch.device, rounds: int) -> dict:
    """Table 6's specification of a backbone, and what a base step (Eq. 5) and an embedding cost.

    On images of 256 x 128: on a GPU 80 (16 of each of 5 domains) in bfloat16, elsewhere 2. `kept`
    is what a forward pass keeps for backward, `peak` the GPU memory that a step takes beyond
    weights and images.
    """
    cuda = device.type == "cuda"
    labels = torch.arange(80 if cuda else 2, device=device) % 20
    images = torch.randn(len(labels), 3, 256, 128, generator=torch.Generator().manual_seed(0))
    batch = Batch(images.to(device, memory_format=torch.channels_last), labels, labels % 5)
    models = []
    for norm in ("bn", "bin"):
        model = build_model(norm, 20, name)
        models.append(model.to(device, memory_format=torch.channels_last))
    rho = balancing_parameters(models[1])
    with torch.autocast(device.type, torch.bfloat16, enabled=cuda):
        steps = [_base_stepper(model, batch) for model in models]
        bn, bin_ = paired_seconds(steps, device, rounds)
        bn_kept, bin_kept = (kept_bytes(model, batch.images) for model in models)
        bn_peak, bin_peak = map(peak_bytes, models, steps) if cuda else (None, None)
        [embedding] = paired_seconds([lambda: models[1].eval().embed(batch.images)], device, rounds)
    num_rho = sum(r.numel() for r in rho.values())
    return {
        "backbone": name,
        "norms": len(rho),
        "rho": num_rho,
        "parameters": sum(p.numel() for p in models[1].extractor.parameters()) - num_rho,
        "images": len(labels),
        "bn_step_ms": 1e3 * median(bn),
        "bin_over_bn": median_ratio(bin_, bn),
        "bn_kept_mib": bn_kept / 2**20,
        "kept_over_bn": bin_kept / bn_kept,
        "bn_peak_mib": bn_peak and bn_peak / 2**20,
        "peak_over_bn": bn_peak and bin_peak / bn_peak,
        "bin_ms_per_image": 1e3 * median(embedding) / len(labels),
    }


def _base_stepper(model: nn.Module, batch: Batch) -> Callable[[], object]:
    """A base step of all weights but rho."""
    rho = balancing_parameters(model)
    weights = [p for name, p in model.named_parameters() if name not in rho]
    optimizer = torch.optim.SGD(weights, lr=0.01, momentum=0.9)
    return lambda: base_step(model, optimizer, batch)


def print_world_costs(device: torch.device) -> dict:
    """Seconds to draw the demo streets, and to rank Market-1501's queries against its gallery."""
    start = time.perf_counter()
    sources = make_streets(World(), range(5), 120, 2, 4)
    targets = make_streets(World(), range(5, 11), 100, 2, 2)
    drawn, streets = len(sources) + len(targets), time.perf_counter() - start
    print(f"The demo streets, {drawn} images of 64x32 drawn anew: {streets:.1f} s")

    generator = torch.Generator().manual_seed(0)
    people = torch.randn(751, 2048, generator=generator)

    def pictures(count: int) -> tuple[Tensor, Tensor, Tensor]:
        pids, camids = (torch.randint(n, (count,), generator=generator) for n in (751, 6))
        features = people[pids] + 4 * torch.randn(count, 2048, generator=generator)  # (count, 2048)
        return features.to(device), pids, camids

    (q, q_pids, q_camids), (g, g_pids, g_camids) = pictures(3368), pictures(19732)
    start = time.perf_counter()
    rank1 = retrieval(q, g, q_pids, g_pids, q_camids, g_camids).rank1
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("Retrieval at Market-1501's size, 3368 x 19732 x 2048:", end=" ")
    print(f"{seconds:.1f} s, Rank-1 {rank1:.1%}")
    print(f"Peak memory of this whole process: {peak / 2**30:.2f} GiB")
    return {
        "streets_images": drawn,
        "streets_seconds": streets,
        "market_seconds": seconds,
        "peak_bytes": peak,
    }
