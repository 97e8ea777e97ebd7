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
ROW = "{:>9} {:>8} {:>7} {:>7} {:>10} {:>9} {:>9} {:>8} {:>8} {:>9} {:>8}"
TIMES = ("precision", "it/s", "data", "base", "meta-train", "meta-test")
HEADS = (*TIMES, "iter/base", "BN it/s", "base/BN", "MiB base", "meta")


def random_images(ids: int, size: tuple[int, int]) -> ImageSet:
    """One image of noise for each identity, in five domains."""
    generator, pids = torch.Generator().manual_seed(0), torch.arange(ids)
    pixels = torch.randint(256, (ids, 3, *size), dtype=torch.uint8, generator=generator)
    names = tuple(f"domain {d}" for d in range(DOMAINS))
    return ImageSet(pixels, pids, torch.zeros_like(pids), pids % DOMAINS, names)


def _named_seconds(works: Mapping[str, Callable], device: torch.device, rounds: int) -> dict:
    """Seconds of each work in each round, by its name."""
    seconds = paired_seconds(list(works.values()), device, rounds)
    return dict(zip(works, seconds, strict=True))


def _iterations(runs: Mapping[str, Run]) -> dict[str, Callable]:
    """An iteration of each run."""
    return {name: partial(next, train(run)) for name, run in runs.items()}


def training_cost(config: Config, images: ImageSet, device: torch.device, rounds: int) -> dict:
    """Milliseconds of each phase, and in pairs: the iteration over its base step, that over BN's.

    Memory is what the phases keep for backward, and on a GPU their peak beyond weights and images.
    """
    joint = replace(config, algorithm="joint")
    runs = {
        "metabin": Run(config, images, device),
        "bin": Run(joint, images, device),
        "bn": Run(replace(joint, norm="bn"), images, device),
    }
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
        "iteration_ms": 1e3 * median(seconds["metabin"]),
        "data_ms": 1e3 * median(seconds["data"]),
        "base_ms": 1e3 * median(seconds["base"]),
        "meta_train_ms": 1e3 * median(seconds["meta-train"]),
        "meta_test_ms": 1e3 * median(meta_test),
        "iteration_over_base": median_ratio(seconds["metabin"], seconds["bin"]),
        "bn_iteration_ms": 1e3 * median(seconds["bn"]),
        "base_over_bn": median_ratio(seconds["bin"], seconds["bn"]),
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
    joint = replace(config, algorithm="joint")
    bn = replace(joint, norm="bn")
    with torch._dynamo.config.patch(recompile_limit=64):  # several networks in one process
        runs = {"eager": Run(config, images, device)}
        for name, compiled in {"metabin": config, "bin": joint, "bn": bn}.items():
            runs[name] = Run(compiled, images, device)
            compile_extractor(runs[name], mode)
        iterations = _iterations(runs)
        start = time.perf_counter()
        iterations["metabin"]()
        first = time.perf_counter() - start
        seconds = _named_seconds(iterations, device, rounds)
    return {
        "mode": mode,
        "precision": runs["eager"].precision,
        "first_iteration_s": first,
        "iteration_ms": 1e3 * median(seconds["metabin"]),
        "iteration_over_eager": median_ratio(seconds["metabin"], seconds["eager"]),
        "iteration_over_base": median_ratio(seconds["metabin"], seconds["bin"]),
        "base_over_bn": median_ratio(seconds["bin"], seconds["bn"]),
    }


def print_training_costs(
    device: torch.device,
    backbone: str | None,
    size: tuple[int, int] | None,
    rounds: int | None,
    mode: str = "no",
) -> dict:
    """Print and return the costs: in the paper's setting on a GPU, in a smaller one elsewhere.

    With a `mode` of torch.compile's, what it saves as well; that takes minutes.
    """
    cuda = device.type == "cuda"
    size = tuple(size or ((256, 128) if cuda else (128, 64)))
    backbone = backbone or ("mobilenetv2_x1_4" if cuda else "mobilenetv2_x1_0")
    images, rounds = random_images(IDS[device.type], size), rounds or (20 if cuda else 5)
    height, width = size
    print(f"Training {backbone} on {height}x{width}, {images.num_ids} ids, 80 + 48 + 32 images:")
    print("ms of each phase, medians of paired ratios (an iteration over its base step; that over")
    print("BN's), MiB of base and meta phases")
    print(ROW.format(*HEADS))
    rows, compiled = [], []
    for precision in ("bf16", "fp32") if cuda else ("fp32",):
        config = Config(backbone=backbone, weights="", size=size, precision=precision)
        rows.append(training_cost(config, images, device, rounds))
        _print_row(rows[-1])
        if mode != "no":
            compiled.append(compiled_cost(config, images, device, rounds, mode))
            _print_compiled(compiled[-1])
    most = limits(device)
    flops, bytes_ = most["flops"], most["bytes"]
    print(f"This machine does {flops / 1e9:.0f} GFLOP/s in a product", end=" ")
    print(f"and copies {bytes_ / 1e9:.0f} GB/s;")
    for row in rows:
        _print_shares(row, most)
    return {"rows": rows, "limits": most, "compiled": compiled, "cache": print_cache_cost(size)}


def _print_row(row: dict) -> None:
    times = [f"{row[f'{name}_ms']:.0f}" for name in ("data", "base", "meta_train", "meta_test")]
    ratios = [f"{row[name]:.2f}" for name in ("iteration_over_base", "base_over_bn")]
    rate, bn_rate = f"{1e3 / row['iteration_ms']:.2f}", f"{1e3 / row['bn_iteration_ms']:.2f}"
    memory = f"{row['base_mib']:.0f}", f"{row['meta_mib']:.0f}"
    cells = [row["precision"], rate, *times, ratios[0], bn_rate, ratios[1], *memory]
    print(ROW.format(*cells), flush=True)


def _print_compiled(row: dict) -> None:
    print(f"{row['precision']:>9} compiled ({row['mode']}):", end=" ")
    print(f"{row['iteration_over_eager']:.2f} of its time;", end=" ")
    print(
        f"iter/base {row['iteration_over_base']:.2f}, base/BN {row['base_over_bn']:.2f};", end=" "
    )
    print(f"the first iteration took {row['first_iteration_s']:.0f} s", flush=True)


def _print_shares(row: dict, most: dict) -> None:
    """How near an iteration comes to what the machine can do."""
    ms = row["iteration_ms"] - row["data_ms"]
    gflop, gb = (row[kind]["base"] + row[kind]["meta"] for kind in ("gflop", "norms_gb"))
    computing, copying = 1e12 * gflop / most["flops"] / ms, 1e12 * gb / most["bytes"] / ms
    print(f"an iteration has {gflop:.0f} GFLOP in its convolutions:", end=" ")
    print(f"{computing:.0%} of its time at that speed;")
    print(f"its norm layers read and write {gb:.1f} GB:", end=" ")
    print(f"{copying:.0%} of its time at that speed")


def print_cache_cost(size: tuple[int, int]) -> dict:
    """Images a second when JPEGs are decoded into a cache, and when it is opened again."""
    count = JPEGS
    pixels = random_images(count, size).images.permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
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
    print(
        f"A cache of {count} JPEGs of {size[0]}x{size[1]}: {count / build:.0f} images/s;", end=" "
    )
    print(f"opened again in {again:.2f} s")
    return {"images": count, "build_seconds": build, "open_seconds": again}
