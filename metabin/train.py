"""Training: a run's whole state, and the loop of Algorithm 1 as a generator.

    run = Run(demo(), images)
    for step in train(run):
        ...                      # plot, stop, save: the loop waits

`python -m metabin train --help` does the same from the command line.
"""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metabin.config import Config
from metabin.data.batches import Batches
from metabin.data.images import ImageSet, check_trainable, place
from metabin.kernels import collectives
from metabin.kernels.precision import autocast, precision_for
from metabin.meta import (
    MetaOptions,
    base_step,
    clamp_rho,
    cyclic_inner_lr,
    meta_step,
    mldg_step,
    random_direction,
)
from metabin.networks.mixstyle import add_mix_style
from metabin.networks.model import build_model
from metabin.networks.synced_norms import sync_stats as share_statistics
from metabin.norm import balancing_parameters
from metabin.samplers import count_meta_train, join, split_sides


class Run:
    """A training run: model, optimizer, random streams and position (Algorithm 1, line 1).

    That is all that a checkpoint holds. With the same seed every method starts from the same
    weights, and all but those of one episode see the same base batches: the meta-step draws from
    streams of its own. Several processes (`runs.processes`) make, save and load their runs
    together; with `sync_stats` they normalize by the statistics of the whole batch.

    Raises ValueError when the images cannot fill a batch, their domains cannot be split, or
    Algorithm 1 has no rho to move.
    """

    def __init__(
        self,
        config: Config,
        images: ImageSet,
        device: torch.device | str | None = None,
        sync_stats: bool = False,
    ):
        check_trainable(images, config.size)
        self.config, self.iteration = config, 0
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision = precision_for(self.device, config.precision)
        self.digests = images.digests()  # of labels and pixels: counts don't tell data apart
        self.images, self.placement = place(images, self.device)
        root = torch.Generator().manual_seed(config.seed)
        seeds = torch.randint(2**62, (3,), generator=root).tolist()  # weights, base, meta

        # f_theta, g_phi and theta_rho; channels last is a third faster on a CPU.
        weights = config.weights or None
        self.model = build_model(config.norm, images.num_ids, config.backbone, weights, seeds[0])
        self.model.to(self.device, memory_format=torch.channels_last)
        self.sync_stats = sync_stats and collectives.world_size() > 1
        collectives.agree(self.model, self._settings())
        if self.sync_stats:
            share_statistics(self.model)

        # What the base step needs.
        self.optimizer = _optimizer(self.model, config)
        self.scaler = collectives.GradientScaler(self.device.type, enabled=self.precision == "fp16")
        self.base_batches = Batches(config, self.images, seeds[1])
        if config.base_sampling == "pooled":
            self.base_batches.pool()
        if config.mixstyle:
            generator = self.base_batches.augment_generator
            add_mix_style(self.model.extractor, config.mixstyle, generator)

        # What the meta-learned step needs.
        self.meta_batches = Batches(config, self.images, seeds[2], config.meta_ids_per_domain)
        self.meta_batches.sampler.domain_generator = self.meta_batches.shared
        self.num_meta_train = 0
        if config.algorithm != "joint":
            num_domains = self.meta_batches.sampler.num_domains
            self.num_meta_train = count_meta_train(config.meta_train_share, num_domains)
        self.options = _options(config, self.scaler, self.meta_batches)
        if config.algorithm == "metabin" and not balancing_parameters(self.model.extractor):
            raise ValueError(
                f'algorithm="metabin" moves balancing parameters, and norm="{config.norm}" has '
                'none: use norm="bin", or algorithm="joint"'
            )

    def state_dict(self) -> dict:
        """All that `load_state_dict` needs to go on bit-equally: tensors and plain values only."""
        batches = self.meta_batches
        return self._settings() | {
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "base_batches": collectives.gather_lists(self.base_batches.get_state()),
            "meta_batches": collectives.gather_lists(self.meta_batches.get_state()),
            "shared": [batches.shared.get_state(), batches.shared_augment.get_state()],
        }

    def load_state_dict(self, state: dict) -> None:
        """Take over a saved state.

        Raises ValueError when it was saved under another configuration or with other images.
        """
        settings = self._settings()
        changed = _changed(settings.pop("config"), state["config"])
        if changed:
            raise ValueError(
                f"the checkpoint was made with another configuration: {', '.join(changed)} differ"
            )
        for name in _changed(settings, {key: state[key] for key in settings}):
            raise ValueError(
                f"the checkpoint was made with other {name}: {state[name]}, not {settings[name]}; "
                "give another folder, or "
                + (f"--precision {state[name]}" if name == "precision" else "what it was made with")
            )
        self.iteration = state["iteration"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.base_batches.set_state(collectives.scatter_list(state["base_batches"]))
        self.meta_batches.set_state(collectives.scatter_list(state["meta_batches"]))
        self.meta_batches.shared.set_state(state["shared"][0])
        self.meta_batches.shared_augment.set_state(state["shared"][1])

    def _settings(self) -> dict:
        """What must be equal where a run goes on."""
        return {
            "config": dataclasses.asdict(self.config),
            "images": repr(self.images),
            **self.digests,
            "precision": self.precision,
            "processes": collectives.world_size(),
            "sync_stats": self.sync_stats,
        }


@dataclass(frozen=True)
class Step:
    """One iteration: its number (from 1), step sizes, and losses (scalars, still on the device).

    The losses of several processes are their means.
    """

    iteration: int
    lr: float
    inner_lr: float
    losses: dict[str, Tensor]


def train(run: Run) -> Iterator[Step]:
    """Train from where the run stands to its end, an iteration at a time (Algorithm 1, line 2)."""
    config = run.config
    one_episode = config.algorithm in ("mldg", "one_episode")  # one step for weights and rho
    while run.iteration < config.iterations:
        progress = run.iteration / config.iterations
        lr = learning_rate(config, progress)
        inner_lr = cyclic_inner_lr(
            progress, config.inner_lr_low, config.inner_lr_high, config.inner_cycle
        )
        for group in run.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        meta = config.algorithm != "joint" and run.iteration >= config.meta_start

        run.model.train()
        losses = {}
        with autocast(run.device, run.precision):
            if not (meta and one_episode):
                losses |= base_update(run)
            if meta:
                losses |= meta_update(run, inner_lr)

        run.iteration += 1
        means = collectives.average(list(losses.values()))
        yield Step(run.iteration, lr, inner_lr, dict(zip(losses, means, strict=True)))


def base_update(run: Run) -> dict[str, Tensor]:
    """Sample X_B and make the base step: lines 3 to 6 of Algorithm 1."""
    batch = join(run.base_batches.draw())
    losses = base_step(run.model, run.optimizer, batch, run.options.base, run.scaler)
    if run.config.algorithm != "metabin":
        clamp_rho(run.model)  # the optimizer moves rho, too
    return losses


def meta_update(run: Run, inner_lr: float) -> dict[str, Tensor]:
    """Sample a mini-batch, split it by domain, make the meta-learned step (Algorithm 1, line 7)."""
    batches, options = run.meta_batches, run.options
    meta_train, meta_test = split_sides(batches.draw(), run.num_meta_train, batches.shared)
    if run.config.algorithm != "metabin":
        return mldg_step(run.model, run.optimizer, meta_train, meta_test, inner_lr, options)
    needs_logits = options.meta_train.needs_logits or options.meta_test.needs_logits
    model = run.model if needs_logits else run.model.extractor
    return meta_step(model, meta_train, meta_test, inner_lr, run.config.outer_lr, options)


def learning_rate(config: Config, progress: float) -> float:
    """The weights' step size at `progress` in [0, 1) of the schedule (Section 4.1).

    Linear warm-up, then a tenth at each milestone.
    """
    risen = min(1.0, progress / config.warmup) if config.warmup else 1.0
    warm = config.warmup_from + (1 - config.warmup_from) * risen
    passed = sum(progress >= milestone for milestone in config.milestones)
    return config.lr * warm * 0.1**passed


def _optimizer(model: nn.Module, config: Config) -> torch.optim.SGD:
    """SGD over what the base step moves, grouped by weight decay and by the multiple of lr."""
    groups = defaultdict(list)
    for name, parameter in model.named_parameters():
        kind = name.rpartition(".")[2]
        if not parameter.requires_grad or (kind == "rho" and config.algorithm == "metabin"):
            continue
        decays = kind != "rho" and (parameter.dim() > 1 or config.decay_norms)
        scale = 1.0
        if kind == "rho":
            scale = config.joint_rho_scale
        elif "bias" in kind:
            scale = config.bias_lr_scale
        groups[config.weight_decay if decays else 0.0, scale].append(parameter)
    named = [
        {"params": parameters, "weight_decay": decay, "scale": scale}
        for (decay, scale), parameters in groups.items()
    ]
    fused = next(model.parameters()).is_cuda  # there, it spares fp16's scaler a wait
    return torch.optim.SGD(named, lr=config.lr, momentum=config.momentum, fused=fused)


def _options(config: Config, scaler: collectives.GradientScaler, batches: Batches) -> MetaOptions:
    base = config.criterion("base")
    meta_train, meta_test = config.criterion("meta_train"), config.criterion("meta_test")
    if config.algorithm == "mldg":
        meta_train = meta_test = base
    control = None
    if config.control == "random":
        control = functools.partial(random_direction, generator=batches.shared_augment)
    statistics = config.meta_test_statistics
    return MetaOptions(base, meta_train, meta_test, config.order, statistics, control, scaler)


def _changed(before: dict, after: dict) -> list[str]:
    """The keys whose values differ, sorted."""
    return sorted(key for key in before | after if before.get(key) != after.get(key))
