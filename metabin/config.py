"""Section 4.1 as one dataclass: what a run depends on besides its images. Methods and profiles."""

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command's --help reads this file and doesn't wait for torch
    from metabin.losses import Criterion

ALGORITHMS = ("metabin", "one_episode", "mldg", "joint")
LEAST = {"ids_per_domain": 1, "images_per_id": 2, "iterations": 1, "inner_cycle": 1e-9}
SHARES = (  # fields that are at most 1
    "meta_train_share",
    "erasing",
    "mixstyle",
    "colour_jitter",
    "label_smoothing",
    "momentum",
    "warmup",
    "warmup_from",
    "milestones",
    "inner_cycle",
    "keep_at",
)


def choices() -> dict[str, tuple]:
    """What a field may hold, by its name. NORMS and BACKBONES are read anew: they can grow."""
    from metabin.losses import OPTIONS
    from metabin.networks.backbones import BACKBONES
    from metabin.networks.normalizations import NORMS

    return OPTIONS | {
        "backbone": tuple(BACKBONES),
        "norm": tuple(NORMS),
        "algorithm": ALGORITHMS,
        "order": (1, 2),
        "control": ("none", "random"),
        "meta_test_statistics": ("own", "source"),
        "base_sampling": ("balanced", "pooled"),
        "precision": ("auto", "fp32", "bf16", "fp16"),
    }


@dataclass(frozen=True)
class Config:
    """Section 4.1 in its order. Defaults are the paper's; `presets` says where it leaves a choice.

    Raises ValueError or TypeError, with the field's name, for a value that makes no sense.
    """

    backbone: str = "mobilenetv2_x1_4"
    weights: str = "imagenet"  # torchvision's; a checkpoint file's path; "": random weights
    norm: str = "bin"  # the extractor's normalization, of `normalizations.NORMS`
    size: tuple[int, ...] = (256, 128)  # height and width of an image, in pixels

    algorithm: str = "metabin"  # Algorithm 1; "one_episode", "mldg": all move by it; "joint": none
    base: str = "id + triplet"  # L_base, Eq. 4
    meta_train: str = "scatter + shuffle + triplet"  # L_mtr, Eq. 8
    meta_test: str = "triplet"  # L_mte, Eq. 10
    order: int = 1  # of the meta-gradient: 1 leaves the inner step's derivative out
    meta_test_statistics: str = "own"  # BN's for X_T; "source": X_S's, as at deployment
    control: str = "none"  # "random": rho walks at random, in steps as long as the meta-step's

    ids_per_domain: int = 4  # P
    images_per_id: int = 4  # K; P x K = 16 samples for each domain in a mini-batch
    domains_per_batch: int = 0  # at most so many domains, chosen at random; 0: all of them
    base_sampling: str = "balanced"  # over domains; "pooled": as many identities, from the pool
    meta_ids_per_domain: int = 0  # P of the meta-step's batch; 0: as the base step's
    meta_train_share: float = 0.6  # of a batch's domains: 3 of 5
    crop_pad: int = 10  # pixels; not in the text, but in [26], the baseline
    colour_jitter: float = 0.0  # strength of brightness, contrast and saturation changes
    erasing: float = 0.0  # probability that a rectangle of an image is erased
    mixstyle: float = 0.0  # probability that a batch's images exchange styles within the network

    label_smoothing: float = 0.1  # eps
    smooth: str = "all"  # this and the next two: options of the losses
    centroid: str = "raw"
    mining: str = "other identity"
    margin: float = 0.3  # m, Eq. 3

    lr: float = 0.01  # alpha, at the schedule's top
    bias_lr_scale: float = 1.0  # step size of biases as a multiple of lr
    momentum: float = 0.9
    weight_decay: float = 5e-4  # on convolutions and classifier, never on rho
    decay_norms: bool = False  # weight decay on the norm layers' affine pairs too
    warmup: float = 0.1  # fraction of the schedule with a rising lr
    warmup_from: float = 0.1  # where it starts, as a multiple of lr
    milestones: tuple[float, ...] = (0.4, 0.7)  # fractions of the schedule where lr falls to 0.1x
    joint_rho_scale: float = 1.0  # "joint" and "mldg": rho's step size as a multiple of lr

    inner_lr_low: float = 0.001  # beta's range, Eq. 9
    inner_lr_high: float = 0.1
    inner_cycle: float = 0.05  # beta's period as a fraction of the schedule
    outer_lr: float = 0.1  # gamma, Eq. 10
    meta_start: int = 0  # iterations before the first meta-step
    iterations: int = 184_900
    keep_at: float = 1.0  # fraction of the schedule whose weights are kept for retrieval

    precision: str = "auto"  # "bf16" where a GPU has it, "fp16" on other GPUs, "fp32" on a CPU
    seed: int = 0

    def __post_init__(self):
        allowed = choices()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _check_type(field, value)
            _check_range(field, value)
            if field.name in allowed and value not in allowed[field.name]:
                names = ", ".join(map(str, allowed[field.name]))
                raise ValueError(f"{field.name}={value!r}: choose one of {names}")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size={self.size!r}: height and width in pixels are needed")
        if self.inner_lr_low > self.inner_lr_high:
            low, high = self.inner_lr_low, self.inner_lr_high
            raise ValueError(f"inner_lr_low={low} is above inner_lr_high={high}")
        if self.mixstyle and self.norm != "bn":
            raise ValueError(f'mixstyle={self.mixstyle} is for norm="bn", not for {self.norm!r}')
        for name, usual in {"control": "none", "meta_test_statistics": "own"}.items():
            value = getattr(self, name)
            if value != usual and self.algorithm != "metabin":
                raise ValueError(
                    f'{name}={value!r} is for algorithm="metabin", not for {self.algorithm!r}'
                )
        for phase in ("base", "meta_train", "meta_test"):
            try:
                self.criterion(phase)
            except ValueError as error:
                raise ValueError(f"{phase}: {error}") from None

    def criterion(self, phase: str) -> "Criterion":
        """The loss of one phase: "base", "meta_train" or "meta_test"."""
        from metabin.losses import Criterion

        return Criterion(
            getattr(self, phase),
            label_smoothing=self.label_smoothing,
            margin=self.margin,
            smooth=self.smooth,
            centroid=self.centroid,
            mining=self.mining,
        )


def _check_type(field: dataclasses.Field, value) -> None:
    """Raise TypeError for a value of another type than the field's default."""
    if isinstance(field.default, tuple):
        kind = type(field.default[0])
        if not isinstance(value, tuple) or not all(_is_a(kind, item) for item in value):
            raise TypeError(f"{field.name}={value!r}: a tuple of {kind.__name__}s is needed")
    elif not _is_a(type(field.default), value):
        kind = type(field.default)
        raise TypeError(f"{field.name}={value!r}: a {kind.__name__} is needed")


def _is_a(kind: type, value) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _check_range(field: dataclasses.Field, value) -> None:
    """Raise ValueError for a number that is too small, too large, or not finite."""
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(number, int | float) for number in numbers):
        return
    least = LEAST.get(field.name, 0)
    if not all(least <= number < math.inf for number in numbers):
        raise ValueError(f"{field.name}={value!r}: at least {least} is needed")
    if field.name in SHARES and max(numbers, default=0) > 1:
        raise ValueError(
            f"{field.name}={value!r}: a share, at most 1, is needed (of the schedule, not epochs)"
        )


# A row of Tables 1, 3, 4 or 5, and what makes it that: `replace(config, **METHODS["ibn"])`.
METHODS = {
    "bn": {"algorithm": "joint", "norm": "bn"},
    "in": {"algorithm": "joint", "norm": "in"},
    "half": {"algorithm": "joint", "norm": "half"},
    "ibn": {"algorithm": "joint", "norm": "ibn"},
    "dualnorm": {"algorithm": "joint", "norm": "dualnorm"},
    "switchable": {"algorithm": "joint", "norm": "switchable"},
    "bin": {"algorithm": "joint", "norm": "bin"},
    "bin_shared": {"algorithm": "joint", "norm": "bin_shared"},  # "BIN [30]"
    "bn_mldg": {"algorithm": "mldg", "norm": "bn"},
    "bin_mldg": {"algorithm": "mldg", "norm": "bin"},
    "bin_shared_mldg": {"algorithm": "mldg", "norm": "bin_shared"},
    "one_episode": {"algorithm": "one_episode", "norm": "bin"},  # "w/o episode separation"
    "metabin_shared": {"algorithm": "metabin", "norm": "bin_shared"},  # "replace with BIN [30]"
    "metabin": {"algorithm": "metabin", "norm": "bin"},
    # Not in the paper: does the gradient's direction matter? Should meta-test look as deployment?
    "random_rho": {"algorithm": "metabin", "norm": "bin", "control": "random"},
    "metabin_source": {"algorithm": "metabin", "norm": "bin", "meta_test_statistics": "source"},
}
for _changes in METHODS.values():  # every method sets the same fields
    _changes.setdefault("control", "none")
    _changes.setdefault("meta_test_statistics", "own")

# What a profile makes smaller than the paper's.
PROFILES = {
    "demo": dict(  # streets of 64x32, StreetNet, a short schedule for two CPU cores
        backbone="streetnet",
        weights="",
        size=(64, 32),
        crop_pad=3,
        lr=0.05,
        iterations=300,
        precision="fp32",
    ),
    "gpu": dict(
        weights="", iterations=18_490
    ),  # streets at full size, random weights, a tenth of the schedule
    "paper": {},  # the real data sets
}


def demo(**changes) -> Config:
    """The demo profile: StreetNet on 64x32 streets, a short schedule for two CPU cores."""
    return replace(Config(), **PROFILES["demo"] | changes)
