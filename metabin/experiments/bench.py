"""What the layer, the backbones and the streets cost on this machine, measured side by side."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import median

import torch
from torch import Tensor, nn

from metabin.evaluate.retrieval import retrieval
from metabin.experiments.results import rounded
from metabin.meta import base_step
from metabin.networks.model import build_model
from metabin.norm import BatchInstanceNorm2d, balancing_parameters
from metabin.runs.measuring import kept_bytes, median_ratio, paired_seconds, peak_bytes
from metabin.samplers import Batch
from metabin.streets import World, make_streets

# ResNet-50's maps on images of 256 x 128
LAYER_SHAPES = ((80, 64, 128, 64), (80, 256, 64, 32), (80, 1024, 16, 8))


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


def print_rows(rows: Sequence[Mapping]) -> None:
    """Print rows side by side, a line for each of their numbers."""
    for name in rows[0]:
        print(f"{name:24}", *(f"{rounded(row[name], 3)!s:>20}" for row in rows), flush=True)


def print_layer_costs(device: torch.device, rounds: int) -> list[dict]:
    """Print and return `layer_cost` of every shape, type and memory format."""
    dtypes = (torch.float32, torch.bfloat16) if device.type == "cuda" else (torch.float32,)
    formats = (torch.contiguous_format, torch.channels_last)
    print("The layer, forward and backward: ratios are medians over pairs; kept: for backward,")
    print("over the input's bytes")
    rows = []
    for shape in LAYER_SHAPES:
        of_shape = []
        for dtype, memory_format in product(dtypes, formats):
            of_shape.append(layer_cost(shape, device, dtype, memory_format, rounds))
        print_rows(of_shape)
        rows += of_shape
    return rows


def backbone_cost(name: str, device: torch.device, rounds: int) -> dict:
    """Table 6's specification of a backbone, and what a base step (Eq. 5) and an embedding cost.

    On images of 256 x 128: on a GPU 80 in bfloat16, elsewhere 2. `kept` is what a forward pass
    keeps for backward, `peak` the GPU memory that a step takes beyond weights and images.
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
    streets = time.perf_counter() - start
    generator = torch.Generator().manual_seed(0)
    people = torch.randn(751, 2048, generator=generator)

    def pictures(count: int) -> tuple[Tensor, Tensor, Tensor]:
        pids, camids = (torch.randint(n, (count,), generator=generator) for n in (751, 6))
        features = people[pids] + 4 * torch.randn(count, 2048, generator=generator)  # (count, 2048)
        return features.to(device), pids, camids

    (q, q_pids, q_camids), (g, g_pids, g_camids) = pictures(3368), pictures(19732)
    start = time.perf_counter()
    retrieval(q, g, q_pids, g_pids, q_camids, g_camids)
    unit = 1 if sys.platform == "darwin" else 1024
    costs = {
        "streets_images": len(sources) + len(targets),
        "streets_seconds": streets,
        "market_seconds": time.perf_counter() - start,
        "peak_bytes": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print("The demo streets, drawn anew; retrieval at Market-1501's size; this process's peak")
    print_rows([costs])
    return costs
