"""What an iteration of Algorithm 1 costs, phase by phase and beside plain training with batch normalization.

`python -m metabin bench --training`
"""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from PIL import Image
from torch import nn

from metabin.config import Config
from metabin.data.batches import join
from metabin.data.images import ImageSet
from metabin.datasets.listing import Listing, Picture
from metabin.datasets.load import load_images
from metabin.meta import base_step, inner_step, meta_step
from metabin.norm import balancing_parameters
from metabin.runs.compiling import compile_extractor
from metabin.runs.measuring import (
    count_flops,
    kept_for_backward,
    limits,
    map_bytes,
    median_ratio,
    paired_seconds,
    peak_bytes,
)
from metabin.train import HALF, Run, train

DOMAINS, JPEGS = 5, 2000
PASSES = {
    "base": 3 * 80,
    "meta-train": 2 * 48,
    "meta": 2 * (48 + 32),
}  # forward, gradients of maps, and of weights
IMAGES = {"base": 80, "meta-train": 48, "meta": 48 + 32}
NORM_PASSES = (
    8  # over a norm's map: x is read twice, y written; then x and dy are read twice, dx written
)
IDS = {"cuda": 18_530, "cpu": 500}  # the paper's sources have 18,530
ROW = "{:>9} {:>8} {:>7} {:>7} {:>10} {:>9} {:>9} {:>8} {:>8} {:>9} {:>8}"
HEADS = (
    "precision,it/s,data,base,meta-train,meta-test,iter/base,BN it/s,base/BN,MiB base,meta".split(
        ","
    )
)

COMPILED = (
    "{precision:>9} compiled ({mode}): {iteration_over_eager:.2f} of its time; iter/base {iteration_over_base:.2f}, "
    "base/BN {base_over_bn:.2f}; the first iteration took {first_iteration_s:.0f} s"
)


def random_images(ids: int, size: tuple[int, int]) -> ImageSet:
    """One image of noise for each identity, in five domains."""
    generator, pids = torch.Generator().manual_seed(0), torch.arange(ids)
    pixels = torch.randint(256, (ids, 3, *size), dtype=torch.uint8, generator=generator)
    return ImageSet(
        pixels,
        pids,
        torch.zeros_like(pids),
        pids % DOMAINS,
        tuple(f"domain {d}" for d in range(DOMAINS)),
    )


def phases(run: Run) -> dict[str, Callable[[], object]]:
    """The parts of an iteration of a MetaBIN run on batches of their own, all 80 + 48 + 32 images.

    "meta" is the whole meta-step: the meta-test phase is what it takes beyond "meta-train".
    """
    model, half = run.model.train(), HALF.get(run.precision)
    base, meta = join(run.base_batches.draw()), run.meta_batches.draw()
    meta_train, meta_test = join(meta[: run.num_meta_train]), join(meta[run.num_meta_train :])
    rho, inner_lr = balancing_parameters(model.extractor), run.config.inner_lr_low

    def under_autocast(
        function: Callable[..., object], *arguments, **options
    ) -> Callable[[], object]:
        def call():
            with torch.autocast(
                run.device.type, half, enabled=half is not None, cache_enabled=False
            ):
                function(*arguments, **options)

        return call

    inner = dict(criterion=run.criteria[0], scaler=run.scaler)
    outer = dict(criteria=run.criteria, scaler=run.scaler)
    return {
        "data": lambda: (run.base_batches.draw(), run.meta_batches.draw()),
        "base": under_autocast(base_step, model, run.optimizer, base, run.base, run.scaler),
        "meta-train": under_autocast(
            inner_step, model.extractor, rho, meta_train, inner_lr, **inner
        ),
        "meta": under_autocast(
            meta_step, model.extractor, meta_train, meta_test, inner_lr, 0.0, **outer
        ),
    }


def training_cost(config: Config, images: ImageSet, device: torch.device, rounds: int) -> dict:
    """Milliseconds of each phase, and in pairs: the iteration over its own base step, that over one with BN.

    Memory is what the phases keep for backward, and on a GPU their peak beyond weights and images.
    """
    runs = {
        "metabin": Run(config, images, device),
        "bin": Run(replace(config, algorithm="joint"), images, device),
        "bn": Run(replace(config, algorithm="joint", norm="bn"), images, device),
    }
    whole = {name: partial(next, train(run)) for name, run in runs.items()}
    parts = phases(runs["metabin"])
    seconds = dict(
        zip(
            [*whole, *parts],
            paired_seconds([*whole.values(), *parts.values()], device, rounds),
            strict=True,
        )
    )
    median = {name: statistics.median(found) for name, found in seconds.items()}
    beyond = [
        both - first for both, first in zip(seconds["meta"], seconds["meta-train"], strict=True)
    ]
    image, half = (
        torch.zeros(1, 3, *config.size, device=device),
        HALF.get(runs["metabin"].precision),
    )
    extractor = runs["metabin"].model.extractor.eval()
    forward = count_flops(lambda: extractor(image)) / 1e9  # of one image
    with torch.autocast(device.type, half, enabled=half is not None):
        maps = map_bytes(extractor, image) / 1e9  # of one image
    base_bytes, meta_bytes = memory(runs["metabin"].model, parts, device)
    return {
        "backbone": config.backbone,
        "size": list(config.size),
        "ids": images.num_ids,
        "precision": runs["metabin"].precision,
        "iteration_ms": 1e3 * median["metabin"],
        "data_ms": 1e3 * median["data"],
        "base_ms": 1e3 * median["base"],
        "meta_train_ms": 1e3 * median["meta-train"],
        "meta_test_ms": 1e3 * statistics.median(beyond),
        "iteration_over_base": median_ratio(seconds["metabin"], seconds["bin"]),
        "bn_iteration_ms": 1e3 * median["bn"],
        "base_over_bn": median_ratio(seconds["bin"], seconds["bn"]),
        "gflop": {name: factor * forward for name, factor in PASSES.items()},
        "norms_gb": {name: NORM_PASSES * count * maps for name, count in IMAGES.items()},
        "memory": "peak" if device.type == "cuda" else "kept for backward",
        "base_mib": base_bytes / 2**20,
        "meta_mib": meta_bytes / 2**20,
        "embedding_ms_per_image": embedding_ms(runs["bin"], rounds),
    }


def compiled_cost(
    config: Config, images: ImageSet, device: torch.device, rounds: int, mode: str
) -> dict:
    """What `training_cost` finds, of compiled networks, and an iteration's ratio to one that isn't; all in pairs."""
    joint, runs = replace(config, algorithm="joint"), {}
    with torch._dynamo.config.patch(recompile_limit=64):  # several networks in one process
        for name, asked in {
            "eager": config,
            "metabin": config,
            "bin": joint,
            "bn": replace(joint, norm="bn"),
        }.items():
            runs[name] = Run(asked, images, device)
            if name != "eager":
                compile_extractor(runs[name], mode)
        whole = {name: partial(next, train(run)) for name, run in runs.items()}
        start = time.perf_counter()
        whole["metabin"]()
        first = time.perf_counter() - start
        seconds = dict(
            zip(whole, paired_seconds(list(whole.values()), device, rounds), strict=True)
        )
    return {
        "mode": mode,
        "precision": runs["eager"].precision,
        "first_iteration_s": first,
        "iteration_ms": 1e3 * statistics.median(seconds["metabin"]),
        "iteration_over_eager": median_ratio(seconds["metabin"], seconds["eager"]),
        "iteration_over_base": median_ratio(seconds["metabin"], seconds["bin"]),
        "base_over_bn": median_ratio(seconds["bin"], seconds["bn"]),
    }


def memory(
    model: nn.Module, parts: dict[str, Callable[[], object]], device: torch.device
) -> tuple[int, int]:
    """Bytes of the base step and of the meta-step: a GPU's peak, elsewhere what a phase keeps for backward."""
    if device.type == "cuda":
        return peak_bytes(model, parts["base"]), peak_bytes(model, parts["meta"])
    kept = {}
    for name in ("base", "meta-train", "meta"):
        with kept_for_backward(model) as so_far:
            parts[name]()
            kept[name] = so_far()
    return kept["base"], max(
        kept["meta-train"], kept["meta"] - kept["meta-train"]
    )  # one phase after the other


def embedding_ms(run: Run, rounds: int) -> float:
    """Milliseconds to embed one image, in batches of 80."""
    images, model = join(run.base_batches.draw()).images, run.model.eval()
    half = HALF.get(run.precision)
    with torch.autocast(run.device.type, half) if half else nullcontext():
        [seconds] = paired_seconds([lambda: model.embed(images)], run.device, rounds)
    return 1e3 * statistics.median(seconds) / len(images)


def print_training_costs(
    device: torch.device,
    backbone: str | None,
    size: tuple[int, int] | None,
    rounds: int | None,
    mode: str = "no",
) -> dict:
    """Print and return the costs in the paper's setting on a GPU, and in a smaller one elsewhere, unless told otherwise.

    With a `mode` of torch.compile's, what it saves as well; that takes minutes.
    """
    cuda = device.type == "cuda"
    size = tuple(size or ((256, 128) if cuda else (128, 64)))
    backbone = backbone or ("mobilenetv2_x1_4" if cuda else "mobilenetv2_x1_0")
    images = random_images(IDS[device.type], size)
    print(
        f"Training {backbone} on {size[0]}x{size[1]}, {images.num_ids} ids, 80 + 48 + 32 images: ms of each phase,"
    )
    print(
        "medians of paired ratios (an iteration over its base step; that over BN's), MiB of base and meta phases"
    )
    print(ROW.format(*HEADS))
    rows, compiled, rounds = [], [], rounds or (20 if cuda else 5)
    for precision in ("bf16", "fp32") if cuda else ("fp32",):
        config = Config(backbone=backbone, weights="", size=size, precision=precision)
        row = training_cost(config, images, device, rounds)
        rows.append(row)
        times = (f"{row[f'{name}_ms']:.0f}" for name in ("data", "base", "meta_train", "meta_test"))
        ratios = (
            f"{row['iteration_over_base']:.2f}",
            f"{1e3 / row['bn_iteration_ms']:.2f}",
            f"{row['base_over_bn']:.2f}",
        )
        mib = f"{row['base_mib']:.0f}", f"{row['meta_mib']:.0f}"
        print(
            ROW.format(precision, f"{1e3 / row['iteration_ms']:.2f}", *times, *ratios, *mib),
            flush=True,
        )
        if mode != "no":
            compiled.append(compiled_cost(config, images, device, rounds, mode))
            print(COMPILED.format(**compiled[-1]), flush=True)
    most = limits(device)
    print(
        f"This machine does {most['flops'] / 1e9:.0f} GFLOP/s in a product and copies {most['bytes'] / 1e9:.0f} GB/s;"
    )
    for row in rows:
        spent = row["iteration_ms"] - row["data_ms"]
        work, bytes_ = (row[kind]["base"] + row[kind]["meta"] for kind in ("gflop", "norms_gb"))
        share, copied = 1e12 * work / most["flops"] / spent, 1e12 * bytes_ / most["bytes"] / spent
        print(
            f"an iteration has {work:.0f} GFLOP in its convolutions: {share:.0%} of its time at that speed;"
        )
        print(
            f"its norm layers read and write {bytes_:.1f} GB: {copied:.0%} of its time at that speed"
        )
    return {"rows": rows, "limits": most, "compiled": compiled, "cache": print_cache_cost(size)}


def print_cache_cost(size: tuple[int, int]) -> dict:
    """Images a second when a folder of JPEGs is decoded into a cache, and when that cache is opened again."""
    count = JPEGS
    pixels = random_images(count, size).images.permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
    with TemporaryDirectory() as name:
        folder = Path(name)
        for i, picture in enumerate(pixels):
            Image.fromarray(picture).save(folder / f"{i}.jpg")
        pictures = tuple(Picture(folder / f"{i}.jpg", i, 0, "train") for i in range(count))
        listing, seconds = Listing("noise", folder, pictures), []
        for _ in range(2):
            start = time.perf_counter()
            load_images(listing, size, folder / "cache")
            seconds.append(time.perf_counter() - start)
    build, again = seconds
    print(
        f"A cache of {count} JPEGs of {size[0]}x{size[1]}: {count / build:.0f} images/s; opened again in {again:.2f} s"
    )
    return {"images": count, "build_seconds": build, "open_seconds": again}
