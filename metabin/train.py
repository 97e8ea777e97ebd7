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
from torch import Tensor

from metabin.config import Config
from metabin.data.batches import Batches, join, split_sides
from metabin.data.images import ImageSet, place
from metabin.kernels import processes as distributed
from metabin.meta import (
    base_step,
    clamp_rho,
    cyclic_inner_lr,
    meta_step,
    mldg_step,
    random_direction,
)
from metabin.networks.model import build_model
from metabin.networks.synced_norms import sync_stats
from metabin.norm import balancing_parameters

HALF = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}  # a run's precision -> what autocast computes in


def learning_rate(config: Config, progress: float) -> float:
    """The weights' step size at `progress` in [0, 1) of the schedule: linear warm-up, then a tenth at each milestone."""
    risen = min(1.0, progress / config.warmup) if config.warmup else 1.0
    warm = config.warmup_from + (1 - config.warmup_from) * risen
    return config.lr * warm * 0.1 ** sum(progress >= m for m in config.milestones)


def precision_for(device: torch.device) -> str:
    """What precision="auto" means on a device."""
    if device.type != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


class Run:
    """A training run: model, optimizer, random streams and position, all that a checkpoint must hold (Algorithm 1, line 1).

    With the same seed every method starts from the same weights, and all but those of one episode see the same base batches:
    the meta-step draws from streams of its own. Where there are several processes (`distributed`), all make their runs, go
    on, save and load together; with `sync_stats` they normalize by the statistics of the whole batch. Raises ValueError when
    the images cannot fill a batch, their domains cannot be split, or Algorithm 1 has no rho to move.
    """

    def __init__(
        self,
        config: Config,
        images: ImageSet,
        device: torch.device | str | None = None,
        sync_stats: bool = False,
    ):
        if not torch.equal(images.pids.unique().cpu(), torch.arange(images.num_ids)):
            raise ValueError(
                f"identities must be numbered 0 ... {images.num_ids - 1}: use images.relabel"
            )
        if images.images.shape[-2:] != config.size:
            raise ValueError(
                f"the configuration is for images of size={config.size}, not for {images!r}"
            )
        self.config, self.iteration = config, 0
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision = (
            precision_for(self.device) if config.precision == "auto" else config.precision
        )
        self.images, self.placement = place(
            images, self.device
        )  # placement says where the pixels are
        root = torch.Generator().manual_seed(config.seed)
        weights_seed, base_seed, meta_seed = torch.randint(2**62, (3,), generator=root).tolist()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(
                weights_seed
            )  # torch.manual_seed would seed every GPU too
            self.model = build_model(
                config.norm, images.num_ids, config.backbone, config.weights or None
            )
        self.model.to(
            self.device, memory_format=torch.channels_last
        )  # a third faster than contiguous on a CPU
        self.sync_stats = sync_stats and distributed.world_size() > 1
        self._agree()
        self.optimizer = self._optimizer()
        self.scaler = distributed.AveragingScaler(
            self.device.type, enabled=self.precision == "fp16"
        )
        self.base_batches = Batches(
            config,
            self.images,
            distributed.own_seed(base_seed),
            pooled=config.base_sampling == "pooled",
        )
        people = config.meta_ids_per_domain or config.ids_per_domain
        self.meta_batches = Batches(
            dataclasses.replace(config, ids_per_domain=people),
            self.images,
            distributed.own_seed(meta_seed),
        )
        own = self.meta_batches.generator, self.meta_batches.augment_generator
        self.agreed = distributed.agreed_streams(
            meta_seed, own
        )  # for the split, for a random direction
        if distributed.world_size() > 1:
            self.meta_batches.sampler = distributed.SameDomains(
                self.meta_batches.sampler, self.agreed[0]
            )
        self._prepare_meta_learning()

    def _agree(self):
        """Let several processes begin with the same model, after a look whether they have been asked for the same."""
        settings = dict(
            configuration=dataclasses.asdict(self.config),
            images=repr(self.images),
            precision=self.precision,
        )
        distributed.check_same(**settings)
        distributed.copy_first(self.model)
        if self.sync_stats:
            sync_stats(self.model)

    def _prepare_meta_learning(self):
        config, self.num_meta_train = self.config, 0
        self.base, *self.criteria = map(config.criterion, ("base", "meta_train", "meta_test"))
        self.one_episode = config.algorithm in (
            "mldg",
            "one_episode",
        )  # one step for weights and rho
        if config.algorithm == "mldg":
            self.criteria = [self.base, self.base]
        if config.algorithm == "joint":
            return
        if config.algorithm == "metabin" and not balancing_parameters(self.model.extractor):
            raise ValueError(
                f'algorithm="metabin" moves balancing parameters, and norm="{config.norm}" has none: '
                'use norm="bin", or algorithm="joint"'
            )
        num_domains = self.meta_batches.sampler.num_domains
        self.num_meta_train = int(config.meta_train_share * num_domains + 0.5)
        if not 0 < self.num_meta_train < num_domains:
            raise ValueError(
                f"meta-learning needs a domain on each side, but {self.num_meta_train} of {num_domains} would be meta-train "
                f"(meta_train_share={config.meta_train_share}): give more domains (cameras are some: "
                'images.cameras_as_domains), or use algorithm="joint"'
            )

    def _optimizer(self) -> torch.optim.SGD:
        """SGD over all that the base step moves, grouped by weight decay and by the step size's multiple of lr."""
        config, groups = self.config, defaultdict(list)
        for name, parameter in self.model.named_parameters():
            kind = name.rpartition(".")[2]
            decays = kind != "rho" and (parameter.dim() > 1 or config.decay_norms)
            scale = {"rho": config.joint_rho_scale}.get(
                kind, config.bias_lr_scale if "bias" in kind else 1.0
            )
            if parameter.requires_grad and not (kind == "rho" and config.algorithm == "metabin"):
                groups[config.weight_decay if decays else 0.0, scale].append(parameter)
        named = [
            {"params": ps, "weight_decay": decay, "scale": scale}
            for (decay, scale), ps in groups.items()
        ]
        fused = (
            self.device.type == "cuda"
        )  # there, it also spares fp16's scaler a look at the device
        return torch.optim.SGD(named, lr=config.lr, momentum=config.momentum, fused=fused)

    def state_dict(self) -> dict:
        """All that `load_state_dict` needs to go on bit-equally: tensors and plain values only."""
        return {
            "iteration": self.iteration,
            "config": dataclasses.asdict(self.config),
            "images": repr(self.images),
            "precision": self.precision,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "processes": distributed.world_size(),
            "sync_stats": self.sync_stats,
            "base_batches": distributed.joined(self.base_batches.get_state()),
            "meta_batches": distributed.joined(self.meta_batches.get_state()),
            "agreed": [stream.get_state() for stream in self.agreed],
        }

    def load_state_dict(self, state: dict):
        """Take over a saved state. Raises ValueError when it was saved under another configuration or other images."""
        mine = dataclasses.asdict(self.config)
        if different := {
            k for k in mine | state["config"] if mine.get(k) != state["config"].get(k)
        }:
            names = ", ".join(sorted(different))
            raise ValueError(f"the checkpoint was made with another configuration: {names} differ")
        numbers = {"processes": distributed.world_size(), "sync_stats": self.sync_stats}
        for what, own in (
            numbers | {"images": repr(self.images), "precision": self.precision}
        ).items():
            if state[what] != own:
                raise ValueError(
                    f"the checkpoint was made with other {what}: {state[what]}, not {own}"
                )
        self.iteration = state["iteration"]
        for part in ("model", "optimizer", "scaler"):
            getattr(self, part).load_state_dict(state[part])
        self.base_batches.set_state(distributed.own_part(state["base_batches"]))
        self.meta_batches.set_state(distributed.own_part(state["meta_batches"]))
        for stream, saved in zip(self.agreed, state["agreed"], strict=True):
            stream.set_state(saved)


@dataclass(frozen=True)
class Step:
    """What one iteration tells: its number (from 1), its step sizes, its losses (0-d tensors, still on the device).

    Of several processes, all tell the same: the means of their losses.
    """

    iteration: int
    lr: float
    inner_lr: float
    losses: dict[str, Tensor]


def train(run: Run) -> Iterator[Step]:
    """An iteration at a time, from where the run stands to its end (Algorithm 1, line 2)."""
    config, model = run.config, run.model
    half = HALF.get(run.precision)
    while run.iteration < config.iterations:
        progress = run.iteration / config.iterations
        lr = learning_rate(config, progress)
        inner_lr = cyclic_inner_lr(
            progress, config.inner_lr_low, config.inner_lr_high, config.inner_cycle
        )
        for group in run.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        now_meta = config.algorithm != "joint" and run.iteration >= config.meta_start

        model.train()
        with torch.autocast(run.device.type, half, enabled=half is not None, cache_enabled=False):
            losses = {}
            if not (now_meta and run.one_episode):
                losses = base_step(
                    model, run.optimizer, join(run.base_batches.draw()), run.base, run.scaler
                )
                if config.algorithm != "metabin":
                    clamp_rho(model)
            if now_meta:
                losses |= meta_update(run, inner_lr)

        run.iteration += 1
        losses = dict(zip(losses, distributed.average(list(losses.values())), strict=True))
        yield Step(run.iteration, lr, inner_lr, losses)


def meta_update(run: Run, inner_lr: float) -> dict[str, Tensor]:
    """Split a mini-batch by domain and make the run's meta-learned step (Algorithm 1, line 7)."""
    config = run.config
    sides = split_sides(run.meta_batches.draw(), run.num_meta_train, run.agreed[0])
    options = dict(
        criteria=run.criteria, order=config.order, scaler=run.scaler, reduce=distributed.average
    )
    if run.one_episode:
        return mldg_step(run.model, run.optimizer, *sides, inner_lr, run.base, **options)
    options["statistics"] = config.meta_test_statistics
    if config.control == "random":
        options["control"] = functools.partial(random_direction, generator=run.agreed[1])
    needs_logits = any(criterion.needs_logits for criterion in run.criteria)
    return meta_step(
        run.model if needs_logits else run.model.extractor,
        *sides,
        inner_lr,
        config.outer_lr,
        **options,
    )
