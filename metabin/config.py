"""What a training run depends on besides its images: Section 4.1 as one dataclass, and the methods and profiles made of it."""

import dataclasses
from dataclasses import dataclass, replace

from metabin.backbones import BACKBONES
from metabin.losses import Criterion
from metabin.normalizations import NORMS

ALGORITHMS = ("metabin", "mldg", "joint")
CHOICES = {  # what a field may hold
    "backbone": tuple(BACKBONES),
    "norm": tuple(NORMS),
    "algorithm": ALGORITHMS,
    "order": (1, 2),
    "control": ("none", "random"),
    "base_sampling": ("balanced", "pooled"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}
LEAST = {"ids_per_domain": 1, "images_per_id": 2, "iterations": 1, "inner_cycle": 1e-9}  # K = 1: no positives


@dataclass(frozen=True)
class Config:
    """Section 4.1 in its order; the defaults are the paper's, and `presets` says where the paper leaves a choice.

    Raises ValueError or TypeError, with the field's name, for a value that makes no sense.
    """

    backbone: str = "mobilenetv2_x1_4"
    weights: str = "imagenet"  # "imagenet" (torchvision's), a checkpoint file's path, or "" for random weights
    norm: str = "bin"  # the extractor's normalization, of `normalizations.NORMS`
    size: tuple[int, ...] = (256, 128)  # height and width of an image, in pixels

    algorithm: str = "metabin"  # Algorithm 1; "mldg": one episode for all parameters; "joint": no meta-learning
    base: str = "id + triplet"  # L_base, Eq. 4
    meta_train: str = "scatter + shuffle + triplet"  # L_mtr, Eq. 8
    meta_test: str = "triplet"  # L_mte, Eq. 10
    order: int = 1  # of the meta-gradient: 1 leaves the inner step's derivative out
    control: str = "none"  # "random": rho walks at random, in steps as long as the meta-step's

    ids_per_domain: int = 4  # P
    images_per_id: int = 4  # K; P x K = 16 samples for each domain in a mini-batch
    domains_per_batch: int = 0  # 0: all of them
    base_sampling: str = "balanced"  # over domains; "pooled": as many identities, from all domains as one
    meta_train_share: float = 0.6  # of a batch's domains: 3 of 5
    crop_pad: int = 10  # pixels
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
    milestones: tuple[float, ...] = (0.4, 0.7)  # fractions of the schedule where lr falls to 0.1x of what it was
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
            value, kind = getattr(self, field.name), type(field.default)
            plain = isinstance(value, (int, float) if kind is float else kind)
            if not plain or (isinstance(value, bool) and kind is not bool):
                raise TypeError(f"{field.name}={value!r}: a {kind.__name__} is needed")
            if kind in (int, float) and not value >= LEAST.get(field.name, 0):
                raise ValueError(f"{field.name}={value!r}: at least {LEAST.get(field.name, 0)} is needed")
            if value not in CHOICES.get(field.name, (value,)):
                options = ", ".join(map(str, CHOICES[field.name]))
                raise ValueError(f"{field.name}={value!r}: choose one of {options}")
        for formula in ("base", "meta_train", "meta_test"):
            try:
                self.criterion(formula)
            except ValueError as error:
                raise ValueError(f"{formula}: {error}") from None

    def criterion(self, formula: str) -> Criterion:
        """The loss of one phase: "base", "meta_train" or "meta_test"."""
        options = dict(smooth=self.smooth, centroid=self.centroid, mining=self.mining)
        return Criterion(getattr(self, formula), self.label_smoothing, self.margin, **options)


# A method of Tables 1, 3, 4 or 5 -> what makes it that method. `replace(config, **METHODS["ibn"])` switches to it.
_JOINT, _MLDG = dict(algorithm="joint"), dict(algorithm="mldg", meta_test="id + triplet")
METHODS = {
    "bn": _JOINT | dict(norm="bn"),
    "in": _JOINT | dict(norm="in"),
    "half": _JOINT | dict(norm="half"),
    "ibn": _JOINT | dict(norm="ibn"),
    "dualnorm": _JOINT | dict(norm="dualnorm"),
    "switchable": _JOINT | dict(norm="switchable"),
    "bin_shared": _JOINT | dict(norm="bin_shared"),  # "BIN [30]"
    "bin": _JOINT | dict(norm="bin"),
    "bn_mldg": _MLDG | dict(norm="bn", meta_train="id + triplet"),  # "MLDG"; inner_lr_low = inner_lr_high: not cyclic
    "bin_shared_mldg": _MLDG | dict(norm="bin_shared", meta_train="id + triplet"),
    "bin_mldg": _MLDG | dict(norm="bin", meta_train="id + triplet"),
    "one_episode": _MLDG | dict(norm="bin"),  # "MetaBIN (w/o episode separation)"
    "metabin_shared": dict(norm="bin_shared"),  # "MetaBIN (replace with BIN [30])"
    "metabin": dict(norm="bin"),
    "random_rho": dict(norm="bin", control="random"),  # not in the paper: does the meta-gradient's direction matter?
}


def demo(**changes) -> Config:
    """Profile: StreetNet on 64x32 streets, a short schedule for two CPU cores."""
    small = dict(backbone="streetnet", weights="", size=(64, 32), crop_pad=3, precision="fp32")
    return replace(Config(lr=0.05, iterations=300, **small), **changes)


def gpu(**changes) -> Config:
    """Profile: the paper's backbone on full-size streets, from random weights, a tenth of the paper's schedule."""
    return replace(Config(weights="", iterations=18_490), **changes)


def paper(**changes) -> Config:
    """Profile: the real data sets, the paper's schedule and pretrained weights."""
    return replace(Config(), **changes)


PROFILES = {"demo": demo, "gpu": gpu, "paper": paper}
