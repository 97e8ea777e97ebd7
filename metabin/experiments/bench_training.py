"""What an iteration of Algorithm 1 costs, phase by phase and beside plain training with BN.

`python -m metabin bench --training`
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from PIL import Image

from metabin.analysis.costs import phase_bytes, phases
from metabin.config import Config
from metabin.data.images import ImageSet
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.load import load_images
from metabin.experiments.bench import print_rows
from metabin.kernels.precision import autocast
from metabin.runs.compiling import compile_extractor
from metabin.runs.measuring import count_flops, limits, map_bytes, median_ratio, paired_seconds
from metabin.samplers import join
from metabin.train import Run, train

DOMAINS, JPEGS = 5, 2000
IMAGES = {"base": 80, "meta-train": 48, "meta": 48 + 32}
# Passes of convolutions over images: forward, gradients of maps and, in base, of weights.
PASSES = {"base": 3 * 80, "meta-train": 2 * 48, "meta": 2 * (48 + 32)}
# Passes over a norm's map: x is read twice and y written; then x and dy are read twice, dx written.
NORM_PASSES = 8
IDS = {"cuda": 18_530, "cpu": 500}  # the paper's sources have 18,530


def random_images(ids: int, size: tuple[int, int]) -> ImageSet:
    """One image of noise for each identity, in five domains."""
    generator, pids = torch.Generator().manual_seed(0), torch.arange(ids)
    pixels = torch.randint(256, (ids, 3, *size), dtype=torch.uint8, generator=generator)
    names = tuple(f"domain {d}" for d in range(DOMAINS))
    return ImageSet(pixels, pids, torch.zeros_like(pids), pids % DOMAINS, names)


def _runs(config: Config, images: ImageSet, device: torch.device) -> dict[str, Run]:
    """MetaBIN, and BIN and BN trained plainly, on the same images."""
    joint = replace(config, algorithm="joint")
    configs = {"metabin": config, "bin": joint, "bn": replace(joint, norm="bn")}
    return {name: Run(one, images, device) for name, one in configs.items()}


def _named_seconds(works: Mapping[str, Callable], device: torch.device, rounds: int) -> dict:
    """Seconds of each work in each round, by its name."""
    seconds = paired_seconds(list(works.values()), device, rounds)
    return dict(zip(works, seconds, strict=True))


def _iterations(runs: Mapping[str, Run]) -> dict[str, Callable]:
    """An iteration of each run."""
    return {name: partial(next, train(run)) for name, run in runs.items()}


def _iteration_costs(seconds: Mapping[str, list[float]]) -> dict:
    return {
        "iteration_ms": 1e3 * median(seconds["metabin"]),
        "iteration_over_base": median_ratio(seconds["metabin"], seconds["bin"]),
        "base_over_bn": median_ratio(seconds["bin"], seconds["bn"]),
    }


def training_cost(config: Config, images: ImageSet, device: torch.device, rounds: int) -> dict:
    """Milliseconds of each phase; in pairs, the iteration over its base step, and that over BN's.

    Memory is what the phases keep for backward, on a GPU their peak beyond weights and images.
    """
    runs = _runs(config, images, device)
    run = runs["metabin"]
    works = phases(run)
    seconds = _named_seconds(_iterations(runs) | works, device, rounds)
    pairs = zip(seconds["meta"], seconds["meta-train"], strict=True)
    meta_test = [whole - first for whole, first in pairs]
    forward, maps = _gigaflops_and_gigabytes(run)  # of one image
    base_bytes, meta_bytes = phase_bytes(run, works)
    return {
        "backbone": config.backbone,
        "size": list(config.size),
        "ids": images.num_ids,
        "precision": run.precision,
        **_iteration_costs(seconds),
        "data_ms": 1e3 * median(seconds["data"]),
        "base_ms": 1e3 * median(seconds["base"]),
        "meta_train_ms": 1e3 * median(seconds["meta-train"]),
        "meta_test_ms": 1e3 * median(meta_test),
        "bn_iteration_ms": 1e3 * median(seconds["bn"]),
        "gflop": {name: passes * forward for name, passes in PASSES.items()},
        "norms_gb": {name: NORM_PASSES * count * maps for name, count in IMAGES.items()},
        "memory": "peak" if device.type == "cuda" else "kept for backward",
        "base_mib": base_bytes / 2**20,
        "meta_mib": meta_bytes / 2**20,
        "embedding_ms_per_image": _embedding_ms(runs["bin"], rounds),
    }


def _gigaflops_and_gigabytes(run: Run) -> tuple[float, float]:
    """Of one image: GFLOP of a forward pass, GB of the maps that the norm layers get."""
    image = torch.zeros(1, 3, *run.config.size, device=run.device)
    extractor = run.model.extractor.eval()
    forward = count_flops(lambda: extractor(image)) / 1e9
    with autocast(run.device, run.precision):
        return forward, map_bytes(extractor, image) / 1e9


def _embedding_ms(run: Run, rounds: int) -> float:
    """Milliseconds to embed one image, in batches of 80."""
    images, model = join(run.base_batches.draw()).images, run.model.eval()
    with autocast(run.device, run.precision):
        [seconds] = paired_seconds([lambda: model.embed(images)], run.device, rounds)
    return 1e3 * median(seconds) / len(images)


def compiled_cost(
    config: Config, images: ImageSet, device: torch.device, rounds: int, mode: str
) -> dict:
    """Ratios of compiled networks, and of an iteration to one that isn't compiled; all in pairs."""
    with torch._dynamo.config.patch(recompile_limit=64):  # several networks in one process
        runs = _runs(config, images, device)
        for run in runs.values():
            compile_extractor(run, mode)
        iterations = _iterations(runs | {"eager": Run(config, images, device)})
        start = time.perf_counter()
        iterations["metabin"]()
        first = time.perf_counter() - start
        seconds = _named_seconds(iterations, device, rounds)
    return {
        "mode": mode,
        "precision": run.precision,
        "first_iteration_s": first,
        **_iteration_costs(seconds),
        "iteration_over_eager": median_ratio(seconds["metabin"], seconds["eager"]),
    }


def print_training_costs(
    device: torch.device,
    backbone: str | None,
    size: tuple[int, int] | None,
    rounds: int | None,
    mode: str = "no",
) -> dict:
    """Print and return the costs: in the paper's setting on a GPU, in a smaller one elsewhere.

    With a `mode` of torch.compile's also what it saves, in minutes.
    """
    cuda = device.type == "cuda"
    size = tuple(size or ((256, 128) if cuda else (128, 64)))
    backbone = backbone or ("mobilenetv2_x1_4" if cuda else "mobilenetv2_x1_0")
    images, rounds = random_images(IDS[device.type], size), rounds or (20 if cuda else 5)
    print("Training on 80 + 48 + 32 images: ms of each phase, and medians of paired ratios")
    rows, compiled = [], []
    for precision in ("bf16", "fp32") if cuda else ("fp32",):
        config = Config(backbone=backbone, weights="", size=size, precision=precision)
        rows.append(training_cost(config, images, device, rounds))
        if mode != "no":
            compiled.append(compiled_cost(config, images, device, rounds, mode))
    most = limits(device)
    print_rows([row | shares(row, most) for row in rows])
    if compiled:
        print("Compiled")
        print_rows(compiled)
    print("This machine, in a second; and a cache of JPEGs")
    print_rows([most])
    cache = cache_cost(size)
    print_rows([cache])
    return {"rows": rows, "limits": most, "compiled": compiled, "cache": cache}


def shares(row: Mapping, most: Mapping) -> dict[str, float]:
    """The shares of an iteration's time that computing and copying at the machine's limits take.

    Of its convolutions' operations, and of what its norm layers read and write.
    """
    ms = row["iteration_ms"] - row["data_ms"]
    gflop, gb = (row[kind]["base"] + row[kind]["meta"] for kind in ("gflop", "norms_gb"))
    computing, copying = 1e12 * gflop / most["flops"] / ms, 1e12 * gb / most["bytes"] / ms
    return {"computing_share": computing, "copying_share": copying}


def cache_cost(size: tuple[int, int]) -> dict:
    """Seconds to decode JPEGs into a cache, and to open it again."""
    pixels = random_images(JPEGS, size).images.permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
    with TemporaryDirectory() as name:
        folder, pictures, seconds = Path(name), [], []
        for i, picture in enumerate(pixels):
            path = folder / f"{i}.jpg"
            Image.fromarray(picture).save(path)
            pictures.append(Picture(path, i, 0, "train"))
        listing = Listing("noise", folder, tuple(pictures))
        for _ in range(2):
            start = time.perf_counter()
            load_images(listing, size, folder / "cache")
            seconds.append(time.perf_counter() - start)
    build, again = seconds
    return {"images": JPEGS, "build_seconds": build, "open_seconds": again}
