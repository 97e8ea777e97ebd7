"""What a training run depends on besides its images: Section 4.1 as one dataclass, and the methods and profiles that set it."""

import dataclasses
import math
from dataclasses import dataclass, replace

from metabin.losses import OPTIONS, Criterion
from metabin.networks.backbones import BACKBONES
from metabin.networks.normalizations import NORMS

ALGORITHMS = ("metabin", "one_episode", "mldg", "joint")
CHOICES = {  # what a field may hold
    "backbone": tuple(BACKBONES),
    "norm": tuple(NORMS),
    "algorithm": ALGORITHMS,
    "order": (1, 2),
    "control": ("none", "random"),
    "meta_test_statistics": ("own", "source"),
    "base_sampling": ("balanced", "pooled"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
} | OPTIONS
LEAST = {
    "ids_per_domain": 1,
    "images_per_id": 2,
    "iterations": 1,
    "inner_cycle": 1e-9,
}  # K = 1: no positives
SHARES = (  # at most 1
    "meta_train_share erasing colour_jitter label_smoothing momentum warmup warmup_from milestones inner_cycle keep_at"
).split()


@dataclass(frozen=True)
class Config:
    """Section 4.1 in its order; the defaults are the paper's, and `presets` says where the paper leaves a choice.

    Raises ValueError or TypeError, with the field's name, for a value that makes no sense.
    """

    backbone: str = "mobilenetv2_x1_4"
    weights: str = (
        "imagenet"  # "imagenet" (torchvision's), a checkpoint file's path, or "" for random weights
    )
    norm: str = "bin"  # the extractor's normalization, of `normalizations.NORMS`
    size: tuple[int, ...] = (256, 128)  # height and width of an image, in pixels

    algorithm: str = "metabin"  # Algorithm 1; "one_episode", "mldg": all parameters learn by it; "joint": none do
    base: str = "id + triplet"  # L_base, Eq. 4
    meta_train: str = "scatter + shuffle + triplet"  # L_mtr, Eq. 8
    meta_test: str = "triplet"  # L_mte, Eq. 10
    order: int = 1  # of the meta-gradient: 1 leaves the inner step's derivative out
    meta_test_statistics: str = (
        "own"  # by which BN normalizes X_T; "source": by X_S's, as at deployment (not in the paper)
    )
    control: str = "none"  # "random": rho walks at random, in steps as long as the meta-step's

    ids_per_domain: int = 4  # P
    images_per_id: int = 4  # K; P x K = 16 samples for each domain in a mini-batch
    domains_per_batch: int = 0  # at most so many domains, chosen at random; 0: all of them
    base_sampling: str = (
        "balanced"  # over domains; "pooled": as many identities, from all domains as one
    )
    meta_ids_per_domain: int = 0  # P of the meta-step's batch; 0: as the base step's
    meta_train_share: float = 0.6  # of a batch's domains: 3 of 5
    crop_pad: int = 10  # pixels; not in the text, but in [26], the baseline
    colour_jitter: float = 0.0  # strength of brightness, contrast and saturation changes
    erasing: float = 0.0  # probability that a rectangle of an image is erased

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
    milestones: tuple[float, ...] = (
        0.4,
        0.7,
    )  # fractions of the schedule where lr falls to 0.1x of what it was
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
        for field in dataclasses.fields(self):
            name, value, kind = field.name, getattr(self, field.name), type(field.default)
            values, single = (value, type(field.default[0])) if kind is tuple else ((value,), kind)
            if not isinstance(value, kind if kind is tuple else object) or not all(
                _is_a(single, v) for v in values
            ):
                raise TypeError(
                    f"{name}={value!r}: a {kind.__name__} {f'of {single.__name__}s ' * (kind is tuple)}is needed"
                )
            if single in (int, float) and not all(
                LEAST.get(name, 0) <= v < math.inf for v in values
            ):
                raise ValueError(f"{name}={value!r}: at least {LEAST.get(name, 0)} is needed")
            if name in SHARES and max(values, default=0) > 1:
                raise ValueError(
                    f"{name}={value!r}: a share, at most 1, is needed (of the schedule, not epochs)"
                )
            if value not in CHOICES.get(name, (value,)):
                raise ValueError(
                    f"{name}={value!r}: choose one of {', '.join(map(str, CHOICES[name]))}"
                )
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size={self.size!r}: height and width in pixels are needed")
        if self.inner_lr_low > self.inner_lr_high:
            raise ValueError(
                f"inner_lr_low={self.inner_lr_low} is above inner_lr_high={self.inner_lr_high}"
            )
        for name, usual in {"control": "none", "meta_test_statistics": "own"}.items():
            if getattr(self, name) != usual and self.algorithm != "metabin":
                raise ValueError(
                    f'{name}={getattr(self, name)!r} is for algorithm="metabin", not for {self.algorithm!r}'
                )
        for formula in ("base", "meta_train", "meta_test"):
            try:
                self.criterion(formula)
            except ValueError as error:
                raise ValueError(f"{formula}: {error}") from None

    def criterion(self, formula: str) -> Criterion:
        """The loss of one phase: "base", "meta_train" or "meta_test"."""
        options = dict(smooth=self.smooth, centroid=self.centroid, mining=self.mining)
        return Criterion(getattr(self, formula), self.label_smoothing, self.margin, **options)


def _is_a(kind: type, value) -> bool:
    return isinstance(value, (int, float) if kind is float else kind) and (
        kind is bool or not isinstance(value, bool)
    )


def _method(
    algorithm: str, norm: str, control: str = "none", statistics: str = "own"
) -> dict[str, str]:
    return dict(algorithm=algorithm, norm=norm, control=control, meta_test_statistics=statistics)


# A method of Tables 1, 3, 4 or 5, and what makes it that method: `replace(config, **METHODS["ibn"])` switches to it.
METHODS = {
    name: _method("joint", name)
    for name in ("bn", "in", "half", "ibn", "dualnorm", "switchable", "bin")
} | {
    "bin_shared": _method("joint", "bin_shared"),  # "BIN [30]"
    "bn_mldg": _method("mldg", "bn"),
    "bin_mldg": _method("mldg", "bin"),
    "bin_shared_mldg": _method("mldg", "bin_shared"),
    "one_episode": _method("one_episode", "bin"),  # "MetaBIN (w/o episode separation)"
    "metabin_shared": _method("metabin", "bin_shared"),  # "MetaBIN (replace with BIN [30])"
    "metabin": _method("metabin", "bin"),
    # Not in the paper: does the meta-gradient's direction matter? Should meta-test look as deployment does?
    "random_rho": _method("metabin", "bin", "random"),
    "metabin_source": _method("metabin", "bin", statistics="source"),
}


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
    """The demo profile with changes: StreetNet on 64x32 streets, a short schedule for two CPU cores."""
    return replace(Config(), **PROFILES["demo"] | changes)
