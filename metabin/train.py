"""Training: the configuration (Section 4.1), a run's whole state, and the loop of Algorithm 1 as a generator.

    run = Run(demo(), images)
    for step in train(run):
        ...                      # plot, stop, save: the loop waits

`python -m metabin.train --help` does the same from the command line.
"""

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from metabin.augment import flip_and_crop, normalize
from metabin.checkpoint import load_run, save_model, save_run
from metabin.datasets import read_market1501
from metabin.images import ImageSet, concat_sets, relabel
from metabin.meta import Batch, base_step, cyclic_inner_lr, meta_step
from metabin.model import build_model
from metabin.norm import balancing_parameters
from metabin.normalizations import NORMS
from metabin.samplers import PKSampler, split_domains
from metabin.streets import World, make_streets


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on besides its images. Section 4.1 in order; the defaults are the paper's."""

    norm: str = "bin"  # the extractor's normalization
    rho: str = "meta"  # how balancing parameters learn: "meta" (Algorithm 1) or "joint" with the weights (BIN)
    ids_per_domain: int = 4  # P
    images_per_id: int = 4  # K; P x K = 16 samples for each domain in a mini-batch
    meta_train_share: float = 0.6  # of the domains: 3 of 5
    label_smoothing: float = 0.1  # eps
    margin: float = 0.3  # m, Eq. 3
    lr: float = 0.01  # alpha, at the schedule's top
    momentum: float = 0.9
    weight_decay: float = 5e-4  # on convolutions and classifier, not on norm layers or rho
    warmup: float = 0.1  # fraction of the schedule with a rising lr, from 0.1x
    milestones: tuple[float, ...] = (0.4, 0.7)  # fractions of the schedule where lr falls to 0.1x of what it was
    joint_rho_scale: float = 1.0  # rho="joint": rho's step size as a multiple of lr
    inner_lr_low: float = 0.001  # beta's range, Eq. 9
    inner_lr_high: float = 0.1
    inner_cycle: float = 0.05  # beta's period as a fraction of the schedule
    outer_lr: float = 0.1  # gamma, Eq. 10
    iterations: int = 184_900
    crop_pad: int = 10  # pixels, at 256 x 128
    precision: str = "fp32"  # "fp32" or "bf16" (autocast)
    seed: int = 0

    def __post_init__(self):
        for name, choices in {"norm": NORMS, "rho": ("meta", "joint"), "precision": ("fp32", "bf16")}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(choices)}")
        least = {"ids_per_domain": 1, "images_per_id": 2, "iterations": 1, "inner_cycle": 1e-9}  # K = 1: no positives
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if not isinstance(value, (int, float) if kind is float else kind):
                raise TypeError(f"{field.name}={value!r}: a {kind.__name__} is needed")
            if kind in (int, float) and not value >= least.get(field.name, 0):
                raise ValueError(f"{field.name}={value!r}: at least {least.get(field.name, 0)} is needed")


def demo(**changes) -> Config:
    """The demo profile: StreetNet on 64x32 streets, a short schedule for two CPU cores."""
    return replace(Config(lr=0.05, iterations=300, crop_pad=3), **changes)


def learning_rate(config: Config, progress: float) -> float:
    """The weights' step size at `progress` in [0, 1) of the schedule: linear warm-up, then a tenth at each milestone."""
    warm = 0.1 + 0.9 * min(1.0, progress / config.warmup) if config.warmup else 1.0
    return config.lr * warm * 0.1 ** sum(progress >= m for m in config.milestones)


class Batches:
    """Endless augmented mini-batches from random streams of their own, one `Batch` for each domain."""

    def __init__(self, config: Config, images: ImageSet, seed: int):
        self.images, self.pad = images, config.crop_pad
        self.generator = torch.Generator().manual_seed(seed)
        self.augment_generator = torch.Generator(images.images.device).manual_seed(seed)
        pids, domains = images.pids.cpu(), images.domains.cpu()
        self.sampler = PKSampler(pids, domains, config.ids_per_domain, config.images_per_id, self.generator)

    def draw(self) -> list[Batch]:
        """The next mini-batch, by domain: P*K images each."""
        rows = self.sampler.draw().to(self.images.images.device, non_blocking=True)  # (num_domains, P*K)
        index = rows.flatten()
        images = normalize(flip_and_crop(self.images.images[index], self.pad, self.augment_generator))
        parts = (t.chunk(len(rows)) for t in (images, self.images.pids[index], self.images.domains[index]))
        return [Batch(*part) for part in zip(*parts, strict=True)]

    def get_state(self) -> list[Tensor]:
        return [self.generator.get_state(), self.augment_generator.get_state()]

    def set_state(self, state: list[Tensor]):
        for generator, saved in zip((self.generator, self.augment_generator), state, strict=True):
            generator.set_state(saved)


class Run:
    """A training run: model, optimizer, random streams and position, all that a checkpoint must hold.

    With the same seed every method starts from the same weights and sees the same base batches: the meta-step draws from
    streams of its own. Raises ValueError when the images cannot fill a batch or their domains cannot be split.
    """

    def __init__(self, config: Config, images: ImageSet, device: torch.device | str | None = None):
        if not torch.equal(images.pids.unique().cpu(), torch.arange(images.num_ids)):
            raise ValueError(f"identities must be numbered 0 ... {images.num_ids - 1}: use images.relabel")
        self.config, self.iteration = config, 0
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.images = images.to(self.device)
        root = torch.Generator().manual_seed(config.seed)
        weights_seed, base_seed, meta_seed = torch.randint(2**62, (3,), generator=root).tolist()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(weights_seed)  # torch.manual_seed would seed every GPU too
            self.model = build_model(config.norm, images.num_ids)
        self.model.to(self.device, memory_format=torch.channels_last)  # a third faster than contiguous on a CPU
        self.optimizer = self._optimizer()
        self.base_batches = Batches(config, self.images, base_seed)
        self.meta_batches = Batches(config, self.images, meta_seed)
        self.meta = config.rho == "meta" and bool(balancing_parameters(self.model.extractor))
        self.num_meta_train = round(config.meta_train_share * images.num_domains)
        if self.meta:
            split_domains(images.num_domains, self.num_meta_train, torch.Generator())  # raises if there is no split

    def _optimizer(self) -> torch.optim.SGD:
        named = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        rho = [p for name, p in named.items() if name.endswith("rho")]
        decayed = [p for p in named.values() if p.dim() > 1]
        affine = [p for name, p in named.items() if p.dim() == 1 and not name.endswith("rho")]
        groups = [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": affine}]
        if rho and self.config.rho == "joint":
            groups.append({"params": rho, "scale": self.config.joint_rho_scale})
        return torch.optim.SGD(groups, lr=self.config.lr, momentum=self.config.momentum)

    def state_dict(self) -> dict:
        """All that `load_state_dict` needs to go on bit-equally: tensors and plain values only."""
        return {
            "iteration": self.iteration,
            "config": dataclasses.asdict(self.config),
            "images": repr(self.images),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "base_batches": self.base_batches.get_state(),
            "meta_batches": self.meta_batches.get_state(),
        }

    def load_state_dict(self, state: dict):
        """Take over a saved state. Raises ValueError when it was saved under another configuration or other images."""
        mine = dataclasses.asdict(self.config)
        if different := {k for k in mine | state["config"] if mine.get(k) != state["config"].get(k)}:
            names = ", ".join(sorted(different))
            raise ValueError(f"the checkpoint was made with another configuration: {names} differ")
        if state["images"] != repr(self.images):
            raise ValueError(f"the checkpoint was made with other images: {state['images']}, not {self.images!r}")
        self.iteration = state["iteration"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.base_batches.set_state(state["base_batches"])
        self.meta_batches.set_state(state["meta_batches"])


@dataclass(frozen=True)
class Step:
    """What one iteration tells: its number (from 1), its step sizes, its losses (0-d tensors, still on the device)."""

    iteration: int
    lr: float
    inner_lr: float
    losses: dict[str, Tensor]


def join(batches: list[Batch]) -> Batch:
    """One batch out of several."""
    return Batch(*(torch.cat(part) for part in zip(*batches, strict=True)))


def train(run: Run) -> Iterator[Step]:
    """Algorithm 1, an iteration at a time, from where the run stands to its end."""
    config, model = run.config, run.model
    while run.iteration < config.iterations:
        progress = run.iteration / config.iterations
        lr = learning_rate(config, progress)
        inner_lr = cyclic_inner_lr(progress, config.inner_lr_low, config.inner_lr_high, config.inner_cycle)
        for group in run.optimizer.param_groups:
            group["lr"] = lr * group.get("scale", 1.0)

        model.train()
        with torch.autocast(run.device.type, torch.bfloat16, enabled=config.precision == "bf16", cache_enabled=False):
            losses = base_step(
                model, run.optimizer, join(run.base_batches.draw()), config.label_smoothing, config.margin
            )
            if run.meta:
                batches = run.meta_batches.draw()
                split = split_domains(len(batches), run.num_meta_train, run.meta_batches.generator)  # line 8
                meta_train, meta_test = (join([batches[d] for d in side]) for side in split)
                losses |= meta_step(model.extractor, meta_train, meta_test, inner_lr, config.outer_lr, config.margin)
            else:
                clamp_rho(model)

        run.iteration += 1
        yield Step(run.iteration, lr, inner_lr, losses)


@torch.no_grad()
def clamp_rho(model: torch.nn.Module):
    """Bring rho back into [0, 1] after a joint step (Eq. 1's range)."""
    for rho in balancing_parameters(model).values():
        rho.clamp_(0, 1)


def main(arguments: list[str] | None = None):
    """Train from the command line, saving every minute; the same command goes on where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m metabin.train", description="Train MetaBIN, BIN, BN, IN or Half.")
    parser.add_argument("--data-root", nargs="+", type=Path, help="folders in Market-1501's layout, one domain each")
    parser.add_argument("--run-dir", type=Path, default=Path("build/runs/demo"), help="where checkpoints are kept")
    parser.add_argument("--size", nargs=2, type=int, default=(64, 32), metavar=("H", "W"), help="pixels of an image")
    for f in fields(Config):
        kind = {"type": float, "nargs": "+"} if isinstance(f.default, tuple) else {"type": type(f.default)}
        parser.add_argument(f"--{f.name.replace('_', '-')}", default=getattr(demo(), f.name), **kind)
    given = vars(parser.parse_args(arguments))
    given["milestones"] = tuple(given["milestones"])
    try:
        folder = given["run_dir"]
        if given["data_root"]:
            sets = [read_market1501(root, tuple(given["size"]), ("train",))[0] for root in given["data_root"]]
            images = relabel(concat_sets(sets))
        else:
            images = make_streets(World(0, *given["size"]), range(5), 120, cache=Path("build/cache"))
        run = Run(Config(**{f.name: given[f.name] for f in fields(Config)}), images)
        if (folder / "last.pt").exists():
            load_run(folder / "last.pt", run)
            print(f"resumed from step {run.iteration}", file=sys.stderr)
    except (ValueError, OSError) as error:
        parser.exit(2, f"{error}\n")
    bar = tqdm(train(run), initial=run.iteration, total=run.config.iterations, disable=None)
    saved = time.monotonic()
    for step in bar:
        if step.iteration % 20 == 0:
            bar.set_postfix({name: f"{value:.2f}" for name, value in step.losses.items()})
        if time.monotonic() - saved > 60 or step.iteration == run.config.iterations:
            save_run(folder / "last.pt", run)
            saved = time.monotonic()
    save_model(folder / "model.safetensors", run.model, run.config.norm)
    print(f"weights for retrieval: {folder / 'model.safetensors'}")


if __name__ == "__main__":
    main()
